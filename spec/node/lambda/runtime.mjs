// A custom runtime: the loop that asks Lambda for events. It does less than the
// one that AWS's runtime for Node has.
import { Agent, request } from "node:http";

const { handler } = await import(process.argv[2]);
const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");
const agent = new Agent({ keepAlive: true, maxSockets: 1 });

function call(method, path, body) {
  return new Promise((resolve, reject) => {
    const r = request({ host, port, method, path: "/2018-06-01/runtime/invocation/" + path, agent }, (response) => {
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("end", () => resolve({ headers: response.headers, body: Buffer.concat(chunks) }));
      response.on("error", reject);
    });
    r.on("error", reject);
    r.end(body);
  });
}

for (;;) {
  const { headers, body } = await call("GET", "next");
  const id = headers["lambda-runtime-aws-request-id"];
  try {
    await call("POST", id + "/response", JSON.stringify(await handler(JSON.parse(body))));
  } catch (error) {
    await call("POST", id + "/error", JSON.stringify({ errorMessage: error.message, errorType: error.name }));
  }
}
