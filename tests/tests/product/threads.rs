//! Threads that panic, and threads that the system does not give: the run ends, and says so.

use std::path::PathBuf;
use std::process::Command;

use rivet_tests::{readers, rivet, sqlite};

/// A library that stands before the system's: its clock and its threads fail as the environment says.
const BROKEN: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int clock_gettime(clockid_t id, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    char name[16] = "";
    const char *thread = getenv("BROKEN_CLOCK");
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(id, now);
    if (thread && id == CLOCK_REALTIME && pthread_getname_np(pthread_self(), name, sizeof name) == 0 &&
        strncmp(name, thread, strlen(thread)) == 0)
        now->tv_sec = 1LL << 47;
    return result;
}

int pthread_create(pthread_t *thread, const pthread_attr_t *how, void *(*work)(void *), void *of) {
    static int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    static int started;
    const char *most = getenv("BROKEN_THREADS");
    if (most && __atomic_fetch_add(&started, 1, __ATOMIC_SEQ_CST) >= atoi(most)) return EAGAIN;
    if (!real)
        real = (int (*)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *))dlsym(RTLD_NEXT, "pthread_create");
    return real(thread, how, work, of);
}
"#;

fn broken(project: &rivet::Project) -> PathBuf {
    let (source, library) = (project.write("broken.c", BROKEN), project.path("broken.so"));
    let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).arg("-ldl").status();
    assert!(built.unwrap().success());
    library
}

fn project(database: &mut sqlite::Database, more: &str) -> rivet::Project {
    database.run(
        "CREATE TABLE t (id INTEGER PRIMARY KEY);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) INSERT INTO t SELECT i FROM n",
    );
    let project = rivet::project();
    project.config(&format!(
        "source: {{url: '{}'{more}}}\nexports:\n  - {{name: e, table: t, mode: chunked, chunk_column: id, chunk_size: 100, \
         parallel: 2, format: csv, destination: {{type: local, path: '{{out}}'}}}}\n",
        database.url()
    ));
    project
}

#[track_caller]
fn lands(project: &rivet::Project) {
    project.rivet("run").arg("--resume").ok();
    let found = readers::sql(project.out(), "SELECT count(*), count(DISTINCT id) FROM t");
    assert_eq!(found[0], ["500", "500"].map(|text| Some(text.to_owned())));
}

#[test]
fn a_worker_that_panics_ends_the_run() {
    for more in ["", ", tuning: {profile: fast}"] {
        for thread in ["read-", "write-"] {
            let mut database = sqlite::database();
            let project = project(&mut database, more);
            // It would stand until the deadline of the tests.
            let output = project.rivet("run").env("LD_PRELOAD", broken(&project)).env("BROKEN_CLOCK", thread).run();
            assert_ne!(output.code, Some(0), "{output}");
            assert_ne!(output.code, Some(101), "{output}");
            output.says(&["rivet panicked while"]);
            lands(&project);
        }
    }
}

#[test]
fn a_thread_that_is_not_given_is_an_error_and_no_panic() {
    let mut database = sqlite::database();
    let project = project(&mut database, "");
    let library = broken(&project);
    for most in 0..40 {
        let command = project.rivet("run").env("LD_PRELOAD", &library).env("BROKEN_THREADS", most.to_string());
        let output = command.run();
        if output.code == Some(0) {
            assert!(most > 3, "threads are not counted");
            return;
        }
        assert!(matches!(output.code, Some(1..=3 | 75)), "{most}: {output}");
        output.says(&["thread", "hint:"]);
    }
    panic!("so many threads for one small table");
}
