-- A wide table of mixed types, about 850 bytes a row, the same bytes every time. `:rows` is set by psql.
SET client_min_messages = warning;
DROP TABLE IF EXISTS wide;
CREATE TABLE wide (
    id         bigint           NOT NULL,
    name       varchar(60)      NOT NULL,
    body       text             NOT NULL,
    document   jsonb            NOT NULL,
    amount     numeric(18, 4)   NOT NULL,
    created_at timestamptz      NOT NULL,
    active     boolean          NOT NULL,
    token      uuid             NOT NULL,
    day        date             NOT NULL,
    ratio      double precision NOT NULL,
    payload    bytea            NOT NULL,
    note       varchar(80),     -- one in three is NULL
    quantity   integer,         -- one in ten
    discount   numeric(10, 2),  -- one in two
    updated_at timestamptz,     -- one in five
    rare       text             -- all but one in a hundred
);

-- Prose of made-up words, the frequent ones far more often: eight megabytes, of which each row
-- takes slices. It compresses about as real prose does.
CREATE TEMP TABLE corpus (bytes bytea);
ALTER TABLE corpus ALTER bytes SET STORAGE EXTERNAL; -- a slice costs a page or two
INSERT INTO corpus
WITH word AS (
    SELECT i, translate(left(md5(i::text), 2 + (hashint8extended(i, 7) & 7)::int),
                        '0123456789abcdef', 'etaoinshrdlucmfp') AS word
    FROM generate_series(0, 3999) AS i
)
SELECT convert_to(left(string_agg(word.word || CASE WHEN n % 12 = 0 THEN '. ' ELSE ' ' END, '' ORDER BY n),
                       8388608 + 1024), 'UTF8') AS bytes
FROM generate_series(1, 1500000) AS n
JOIN word ON word.i = floor(4000 * power((hashint8extended(n, 1) & 1048575) / 1048576.0::float8, 3))::int;

INSERT INTO wide
SELECT i,
       initcap(convert_from(substring(c.bytes FROM at[1] FOR 24), 'UTF8')),
       convert_from(substring(c.bytes FROM at[2] FOR 125) || substring(c.bytes FROM at[3] FOR 125)
                    || substring(c.bytes FROM at[4] FOR 125) || substring(c.bytes FROM at[5] FOR 125), 'UTF8'),
       jsonb_build_object('sku', left(hex, 8), 'qty', h1 & 63, 'tags', jsonb_build_array(left(hex, 2), 'sale', h1 & 7),
                          'price', ((h2 & 1048575) / 100.0)::numeric(10, 2), 'gift', (h1 & 8) = 0),
       ((h1 & 4294967295) / 10000.0)::numeric(18, 4),
       timestamptz '2020-01-01 00:00:00Z' + (h2 & 137438953471) * interval '1 microsecond' * 1000,
       (h1 & 3) <> 0,
       hex::uuid,
       date '2015-01-01' + (h2 & 4095)::int,
       (h1 & 1048575) / 1048576.0::float8 * 100,
       decode(hex || md5(hex), 'hex'),
       CASE WHEN h1 % 3 <> 0 THEN convert_from(substring(c.bytes FROM at[6] FOR 40), 'UTF8') END,
       CASE WHEN h1 % 10 <> 0 THEN (h2 & 65535)::int END,
       CASE WHEN h2 % 2 = 0 THEN ((h1 & 16383) / 100.0)::numeric(10, 2) END,
       CASE WHEN h2 % 5 <> 0 THEN timestamptz '2024-01-01 00:00:00Z' + (h1 & 31535999) * interval '1 second' END,
       CASE WHEN h1 % 100 = 0 THEN hex END
FROM generate_series(1, :rows) AS i
CROSS JOIN LATERAL (SELECT hashint8extended(i, 1) AS h1, hashint8extended(i, 2) AS h2, md5(i::text) AS hex,
                           ARRAY[1 + (hashint8extended(i, 11) & 8388607)::int, 1 + (hashint8extended(i, 12) & 8388607)::int,
                                 1 + (hashint8extended(i, 13) & 8388607)::int, 1 + (hashint8extended(i, 14) & 8388607)::int,
                                 1 + (hashint8extended(i, 15) & 8388607)::int, 1 + (hashint8extended(i, 16) & 8388607)::int] AS at
                    OFFSET 0) AS row
CROSS JOIN corpus AS c;
ALTER TABLE wide ADD PRIMARY KEY (id);
