// The order service of counter.py, in Node: it executes every POST, counts, and has never heard of payonce.
import http from "node:http";

const allOctets = Buffer.from(Array.from({ length: 256 }, (_, octet) => octet));
const executed = {};
let total = 0;

function answer(response, status, body, headers = []) {
  const lines = headers.flat();
  if (status !== 204) lines.push("Content-Length", String(body.length));
  response.writeHead(status, lines);
  response.end(body);
}

async function execute(request, response, url) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks);
  const reference = body[0] === 0x7b ? String(JSON.parse(body).reference) : body.toString("latin1");
  executed[reference] = (executed[reference] ?? 0) + 1;
  const number = ++total;
  await new Promise((resolve) => setTimeout(resolve, Number(url.searchParams.get("delay_ms") ?? 0)));
  switch (url.pathname) {
    case "/drop":
      return request.socket.destroy();
    case "/binary":
      return answer(response, 200, allOctets, [["Content-Type", "application/octet-stream"]]);
    case "/empty":
      return answer(response, 204, Buffer.alloc(0), [["X-Number", String(number)]]);
    case "/nothing":
      return answer(response, 200, Buffer.alloc(0), [["X-Number", String(number)]]);
    case "/refuse":
      return answer(response, 400, Buffer.from('{"error":"no"}'), [["Content-Type", "application/json"]]);
    default:
      return answer(response, 201, Buffer.from(JSON.stringify({ reference, number })), [
        ["Content-Type", "application/json"],
        ["Location", `/orders/${number}`],
        ["Set-Cookie", `first=${number}; Path=/`],
        ["X-Number", String(number)],
        ["Set-Cookie", "second=b; Path=/"],
      ]);
  }
}

const server = http.createServer((request, response) => {
  const url = new URL(request.url, "http://localhost");
  if (["POST", "PUT", "PATCH", "DELETE"].includes(request.method)) return execute(request, response, url);
  if (url.pathname === "/executions") return answer(response, 200, Buffer.from(JSON.stringify(executed)));
  return answer(response, 200, Buffer.from(`${request.method} ${request.url}`), [["ETag", '"v1"']]);
});
server.listen(0, "127.0.0.1", 512, () => console.log(`http://127.0.0.1:${server.address().port}`));
