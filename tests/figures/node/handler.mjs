// What a user would write: a notification's handler with a plain guarded UPDATE.
import { timingSafeEqual } from "node:crypto";
import { ExecuteStatementCommand, RDSDataClient } from "@aws-sdk/client-rds-data";
import { GetSecretValueCommand, SecretsManagerClient } from "@aws-sdk/client-secrets-manager";

const ROUTE = /^(?:\/api\/v4)?\/internal\/registry\/repositories\/(.+)\/migration\/status$/;
const CHANGES = {
  pre_import_complete: ["pre_importing", "pre_import_done", "pre_import_done_at"],
  import_complete: ["importing", "import_done", "import_done_at"],
};
const sql = ([of, to, at]) => `UPDATE container_repositories
    SET migration_state = '${to}', ${at} = now(), state_since = now(), version = version + 1
    WHERE path = :path AND migration_state = '${of}'
    RETURNING version`;

const dataApi = new RDSDataClient({ maxAttempts: 1 });
const secrets = new SecretsManagerClient({ maxAttempts: 1 });
const given = await secrets.send(new GetSecretValueCommand({ SecretId: process.env.NOTIFICATION_SECRET_ARN }));
const secret = Buffer.from(given.SecretString);

const answer = (statusCode, body) => ({
  statusCode,
  headers: { "content-type": "application/json" },
  body: JSON.stringify(body),
});

export async function handle(event) {
  const presented = Buffer.from(event.headers.authorization ?? "");
  if (presented.length !== secret.length || !timingSafeEqual(presented, secret)) {
    return answer(401, { message: "401 Unauthorized" });
  }
  const route = ROUTE.exec(event.rawPath);
  if (!route) {
    return answer(404, { message: "404 Not found" });
  }
  const body = event.isBase64Encoded ? Buffer.from(event.body ?? "", "base64").toString() : event.body;
  const change = CHANGES[JSON.parse(body).status];
  if (!change) {
    return answer(400, { message: "400 Bad request" });
  }
  const path = decodeURIComponent(route[1]).toLowerCase();
  const done = await dataApi.send(
    new ExecuteStatementCommand({
      resourceArn: process.env.WRITER_ARN,
      secretArn: process.env.WRITER_SECRET_ARN,
      database: process.env.DATABASE_NAME,
      sql: sql(change),
      parameters: [{ name: "path", value: { stringValue: path } }],
    }),
  );
  if (done.records.length === 0) {
    return answer(400, { message: "400 Bad request - Wrong migration state" });
  }
  return answer(200, { path, version: done.records[0][0].longValue });
}
