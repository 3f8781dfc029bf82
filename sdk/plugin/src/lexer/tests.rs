use super::*;

const POSTGRESQL: Rules = Rules::postgresql(true);
const SQLITE: Rules = Rules::sqlite();
const SQLSERVER: Rules = Rules::sqlserver();

fn mysql() -> Rules {
    Rules::mysql("STRICT_TRANS_TABLES,NO_ZERO_DATE")
}

#[track_caller]
fn takes(rules: &Rules, sql: &str, expected: &str) {
    assert_eq!(single(rules, sql).unwrap_or_else(|error| panic!("{sql}\n{error}")), expected);
}

#[track_caller]
fn whole(rules: &Rules, sql: &str) {
    takes(rules, sql, sql);
}

#[track_caller]
fn refuses(rules: &Rules, sql: &str, word: &str) {
    let error = single(rules, sql).expect_err(sql);
    assert!(error.to_string().contains(word), "{sql}\n{error}");
    assert!(error.hint().is_some() && error.kind() == ErrorKind::InvalidQuery, "{error:?}");
}

#[test]
fn nothing_is_cut_but_what_follows_the_statement() {
    for rules in [POSTGRESQL, mysql(), Rules::mariadb(""), SQLITE, SQLSERVER, Rules::standard()] {
        takes(&rules, "select 1;", "select 1");
        takes(&rules, "select 1 ; -- done;\n ; /* a ; */ ", "select 1 ");
        takes(&rules, "select ';--' ;", "select ';--' ");
        whole(&rules, "select 'it''s; -- )' /* ; */ -- ; (");
        whole(&rules, "select \"a;)\" from t -- x");
        whole(&rules, "select 'ä;' as ü");
        refuses(&rules, "", "is empty");
        refuses(&rules, " -- nothing\n;", "is empty");
        refuses(&rules, "; select 1", "before its statement (line 1, column 3)");
        refuses(&rules, "select 1;\n select 2", "second statement, which begins here (line 2, column 2)");
        refuses(&rules, "select 1 as a) as x; drop table t; -- (", "never opened (line 1, column 14)");
        refuses(&rules, "select 1 as a) as x cross join (select 2 as b", "never opened");
        refuses(&rules, "select (1 as a", "never closed");
        refuses(&rules, "select 'a", "quote is never closed");
        refuses(&rules, "select \"a''", "quote is never closed");
        refuses(&rules, "select 1 /*", "comment that is never closed");
        refuses(&rules, "select 1 \0", "zero byte");
    }
}

#[test]
fn each_database_has_its_own_comments() {
    // Nested, or not.
    for rules in [POSTGRESQL, SQLSERVER] {
        takes(&rules, "select 1 /* a /* b */ ; */; -- )", "select 1 /* a /* b */ ; */");
        refuses(&rules, "select 1 /* see logs/*.txt */", "comment that is never closed");
    }
    for rules in [mysql(), Rules::mariadb(""), SQLITE, Rules::standard()] {
        whole(&rules, "select 1 /* see logs/*.txt */ where id = 1");
        refuses(&rules, "select 1 /* a /* b */ ; */ 2", "second statement");
    }
    takes(&SQLITE, "select 1 /* open ; (", "select 1 ");
    takes(&SQLITE, "select 1; /* open ; (", "select 1");
    refuses(&Rules::standard(), "select 1 /* open", "comment that is never closed");

    for rules in [mysql(), Rules::mariadb("")] {
        takes(&rules, "select 10--5;# (", "select 10--5");
        takes(&rules, "select 10 --\t5; (\n;", "select 10 --\t5; (\n");
        whole(&rules, "select 10--");
        whole(&rules, "select '#' # ;");
        refuses(&rules, "select 10--5; 6", "second statement");
    }
    takes(&POSTGRESQL, "select 10--5;\n;", "select 10--5;\n");
    refuses(&POSTGRESQL, "select 1; # 2", "second statement");
    // A carriage return ends the comment, or nobody knows.
    refuses(&POSTGRESQL, "select 1 -- a\r; select 2", "second statement");
    takes(&SQLITE, "select 1 -- a\r; select 2", "select 1 -- a\r; select 2");
    refuses(&SQLSERVER, "select 1 -- a\r; select 2", "carriage return");
    takes(&SQLSERVER, "select 1 -- a;\r\n;", "select 1 -- a;\r\n");
}

#[test]
fn a_comment_that_may_run_is_never_cut_and_its_end_is_certain() {
    for rules in [mysql(), Rules::mariadb("")] {
        whole(&rules, "select id from u /*! where id = 1 */");
        takes(
            &rules,
            "select id from u /*!50701 where id in (1) */; -- b",
            "select id from u /*!50701 where id in (1) */",
        );
        whole(&rules, "select '/*! a' /*! , 'b;' */");
        whole(&rules, "select 1 /*! , /* a */ 2 */");
        refuses(&rules, "select 1; /*! , 2 */", "second statement");
        refuses(&rules, "select 1 /*! ; */", "ends within a comment");
        refuses(&rules, "select 1 /*!99999 don't */", "quote is never closed");
        refuses(&rules, "select 1 /*! where a = '*/' */", "ends elsewhere");
        refuses(&rules, "select 1 /*! -- a */\n */", "ends elsewhere");
        refuses(&rules, "select 1 /*! a /*! b */ */", "within another one");
        refuses(&rules, "select 1 /*! where id = 1", "comment that is never closed");
    }
    // Only MariaDB's.
    takes(&mysql(), "select 1 /*M! ' */; ", "select 1 /*M! ' */");
    refuses(&Rules::mariadb(""), "select 1 /*M! ' */; ", "quote is never closed");
    takes(&Rules::mariadb(""), "select 1 /*M!100100 + 1 */; ", "select 1 /*M!100100 + 1 */");
    // A comment like any other.
    takes(&SQLITE, "select 1; /*! ' */", "select 1");
}

#[test]
fn each_database_has_its_own_quotes() {
    // A backslash before a quote.
    takes(&mysql(), r"select 'it\'s -- x;' ;", r"select 'it\'s -- x;' ");
    takes(&mysql(), r#"select "it\"s -- x;" ;"#, r#"select "it\"s -- x;" "#);
    takes(&mysql(), r"select `a\`;", r"select `a\`");
    refuses(&mysql(), r"select 'a\'; ", "quote is never closed");
    takes(&Rules::mysql("NO_BACKSLASH_ESCAPES"), r"select 'a\'; ", r"select 'a\'");
    takes(&Rules::mysql("IGNORE_SPACE,ANSI_QUOTES"), r#"select "a\"; "#, r#"select "a\""#);
    refuses(&Rules::mysql(""), r#"select "a\"; "#, "quote is never closed");
    takes(&Rules::mariadb("MSSQL,ANSI_QUOTES"), "select [a;]]]; ", "select [a;]]]");
    refuses(&Rules::mariadb(""), "select [a;b]", "second statement");

    takes(&POSTGRESQL, r"select E'it\'s -- x;', 'a\' ; ", r"select E'it\'s -- x;', 'a\' ");
    takes(&POSTGRESQL, "select e'a' -- b;\n 'c\\';' ;", "select e'a' -- b;\n 'c\\';' ");
    refuses(&POSTGRESQL, "select e'a' 'c\\';';'", "second statement");
    takes(&POSTGRESQL, r"select name'a\'; ", r"select name'a\'");
    takes(&POSTGRESQL, r"select U&'\0061', B'1', X'1f'; ", r"select U&'\0061', B'1', X'1f'");
    takes(&Rules::postgresql(false), r"select 'it\'s;', B'1', x'1f\'; ", r"select 'it\'s;', B'1', x'1f\'");
    for (sql, cut) in [
        ("select $$;--$$;", "select $$;--$$"),
        ("select $a_1$ $$ $b$ ; $a_1$;", "select $a_1$ $$ $b$ ; $a_1$"),
        ("select $ä$;$ä$;", "select $ä$;$ä$"),
        ("select a$$, b$$;", "select a$$, b$$"),
        ("select $1 - 2;", "select $1 - 2"),
        ("select 1$$;$$;", "select 1$$;$$"),
    ] {
        takes(&POSTGRESQL, sql, cut);
    }
    refuses(&POSTGRESQL, "select $1$;$1$", "second statement");
    refuses(&SQLITE, "select $$;$$", "second statement");
    takes(&SQLITE, "select 1;\u{feff}", "select 1");
    refuses(&POSTGRESQL, "select 1;\u{feff}", "second statement");

    takes(&SQLITE, "select id as [a;--b], `c;`;", "select id as [a;--b], `c;`");
    refuses(&SQLITE, "select id as [a]]; b]", "second statement");
    takes(&SQLSERVER, "select id as [a]]; b]; ", "select id as [a]]; b]");
    refuses(&SQLSERVER, "select [a", "quote is never closed");
}
