DROP TABLE IF EXISTS lineitem;
CREATE TABLE lineitem (
    l_orderkey      bigint         NOT NULL,
    l_partkey       bigint         NOT NULL,
    l_suppkey       int            NOT NULL,
    l_linenumber    int            NOT NULL,
    l_quantity      decimal(15, 2) NOT NULL,
    l_extendedprice decimal(15, 2) NOT NULL,
    l_discount      decimal(15, 2) NOT NULL,
    l_tax           decimal(15, 2) NOT NULL,
    l_returnflag    char(1)        NOT NULL,
    l_linestatus    char(1)        NOT NULL,
    l_shipdate      date           NOT NULL,
    l_commitdate    date           NOT NULL,
    l_receiptdate   date           NOT NULL,
    l_shipinstruct  varchar(25)    NOT NULL,
    l_shipmode      varchar(10)    NOT NULL,
    l_comment       varchar(44)    NOT NULL,
    PRIMARY KEY (l_orderkey, l_linenumber)
) CHARACTER SET utf8mb4;
SET unique_checks = 0, foreign_key_checks = 0;
LOAD DATA LOCAL INFILE '/dev/stdin' INTO TABLE lineitem
    FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '"' ESCAPED BY '' LINES TERMINATED BY '\n' IGNORE 1 LINES;
ANALYZE TABLE lineitem;
