/* The MySQL bench's floor: the smallest client that fetches rows and throws them away.
 *
 * floor_mysql HOST PORT USER DATABASE binary|text STATEMENT... (the password comes from MYSQL_PWD) runs each
 * statement in a connection and process of its own and prints its rows. `binary` is a prepared statement's
 * protocol, which rivet speaks too; `text` is mysql_use_result. Nothing is bound, converted or kept. */

#include <mysql.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

static unsigned long long drain_binary(MYSQL *connection, const char *statement)
{
    unsigned long long rows = 0;
    int answer;
    MYSQL_STMT *prepared = mysql_stmt_init(connection);
    if (!prepared || mysql_stmt_prepare(prepared, statement, strlen(statement)) || mysql_stmt_execute(prepared))
        fail(statement, mysql_error(connection));
    while ((answer = mysql_stmt_fetch(prepared)) != MYSQL_NO_DATA) {
        if (answer == 1) fail(statement, mysql_stmt_error(prepared));
        rows++;
    }
    mysql_stmt_close(prepared);
    return rows;
}

static unsigned long long drain_text(MYSQL *connection, const char *statement)
{
    unsigned long long rows = 0;
    MYSQL_RES *result;
    if (mysql_real_query(connection, statement, strlen(statement)) || !(result = mysql_use_result(connection)))
        fail(statement, mysql_error(connection));
    while (mysql_fetch_row(result)) rows++;
    if (mysql_errno(connection)) fail(statement, mysql_error(connection));
    mysql_free_result(result);
    return rows;
}

static int drain(char **arguments, const char *statement)
{
    MYSQL *connection = mysql_init(NULL);
    if (!connection) fail("mysql_init", "no memory");
    if (!mysql_real_connect(connection, arguments[1], arguments[3], getenv("MYSQL_PWD"), arguments[4],
                            (unsigned)atoi(arguments[2]), NULL, 0))
        fail("connect", mysql_error(connection));
    printf("%llu rows\n", strcmp(arguments[5], "text") ? drain_binary(connection, statement)
                                                       : drain_text(connection, statement));
    mysql_close(connection);
    return 0;
}

int main(int count, char **arguments)
{
    int index, status, failed = 0;
    if (count < 7) fail("usage", "floor_mysql HOST PORT USER DATABASE binary|text STATEMENT...");
    for (index = 7; index < count; index++) {
        pid_t child = fork();
        if (child < 0) fail("fork", "no process to be had");
        if (child == 0) return drain(arguments, arguments[index]);
    }
    drain(arguments, arguments[6]);
    while (wait(&status) > 0) failed |= status;
    return failed != 0;
}
