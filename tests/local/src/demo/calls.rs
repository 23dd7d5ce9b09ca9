//! How to call a stack that was left running.

use local::StackFile;
use local::output::say;

/// Prints commands to copy.
pub(crate) fn print(stack: &StackFile, path: &str) -> anyhow::Result<()> {
    let StackFile { base_url, operator_token, reader_dsn, .. } = stack;
    say(format_args!(
        "\nThe stack is still running. For example:\n\
         \n  TOKEN={operator_token}\
         \n  curl -s -H \"Authorization: Bearer $TOKEN\" {base_url}/migrations/status/{path}\
         \n  curl -s -H \"Authorization: Bearer $TOKEN\" '{base_url}/migrations?state=import_done&limit=5'\
         \n  curl -s -X POST -H \"Authorization: Bearer $TOKEN\" -H 'Content-Type: application/json' \\\
         \n    -d '[{{\"path\":\"group/new\"}}]' {base_url}/repositories\
         \n  curl -s -X POST -H \"Authorization: Bearer $TOKEN\" {base_url}/migrations/start/group/new\
         \n  psql '{reader_dsn}' -c 'SELECT path, migration_state, version FROM container_repositories'\
         \n\nThe replica's lag, from the workspace's folder:\n\
         \n  target/debug/local lag pause\
         \n  target/debug/local lag resume\
         \n  target/debug/local lag 1500\n"
    ))
}
