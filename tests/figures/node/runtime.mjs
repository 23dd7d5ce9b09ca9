// Lambda's Runtime API for the handler, without more than it needs: AWS's own client is built by a C++ compiler, and
// would only be slower.
import { Agent, request } from "node:http";
import { handle } from "./handler.mjs";

const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");
const agent = new Agent({ keepAlive: true, maxSockets: 1 });

function call(method, path, body) {
  return new Promise((resolve, reject) => {
    const sent = request({ host, port, method, path: `/2018-06-01/runtime${path}`, agent }, (response) => {
      const parts = [];
      response.on("data", (part) => parts.push(part));
      response.on("end", () => resolve({ headers: response.headers, body: Buffer.concat(parts).toString() }));
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

for (;;) {
  const { headers, body } = await call("GET", "/invocation/next");
  const id = headers["lambda-runtime-aws-request-id"];
  try {
    await call("POST", `/invocation/${id}/response`, JSON.stringify(await handle(JSON.parse(body))));
  } catch (error) {
    await call("POST", `/invocation/${id}/error`, JSON.stringify({ errorMessage: String(error), errorType: "Error" }));
  }
}
