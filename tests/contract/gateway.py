"""Stands before `cargo lambda watch`, which keeps a request waiting that no route has: answers it as an HTTP API does.

A request of another method at an address that is known goes to the address's function, which answers it 405. So does
one whose body is not UTF-8: `cargo lambda watch` answers that itself, with a 500, and the real gateway sends base64.

usage: gateway.py BASE_URL ROUTES FILE   ROUTES: the workspace's Cargo.toml; FILE: where the own address is written to"""

import base64
import http.client
import http.server
import json
import sys
import tomllib
import urllib.parse
import uuid

UPSTREAM = urllib.parse.urlsplit(sys.argv[1])
ROUTER = tomllib.load(open(sys.argv[2], "rb"))["workspace"]["metadata"]["lambda"]["watch"]["router"]
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host"}


def routes_of(path):
    """The methods and functions of the route that a path takes: an address in full goes before a beginning."""
    whole = ROUTER.get(path)
    if whole:
        return whole
    beginnings = [route for route in ROUTER if "{*" in route and path.startswith(route.split("{*")[0])]
    beginnings = [route for route in beginnings if len(path) > len(route.split("{*")[0])]
    return ROUTER[max(beginnings, key=len)] if beginnings else None


def is_text(body):
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def event_of(method, address, headers, body):
    """A request as an HTTP API hands it to a function (payload format 2.0), its body in base64."""
    path, _, query = address.partition("?")
    names = {name.lower() for name in headers.keys()}
    http = {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": ""}
    return {
        "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": query,
        "headers": {name: ",".join(headers.get_all(name)) for name in names},
        "queryStringParameters": {name: value for name, value in urllib.parse.parse_qsl(query, True)},
        "requestContext": {
            "accountId": "000000000000", "apiId": "local", "stage": "$default", "routeKey": "$default",
            "requestId": str(uuid.uuid4()), "http": http, "timeEpoch": 0,
        },
        "body": base64.b64encode(body).decode(), "isBase64Encoded": True,
    }


class Gateway(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def relay(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        routes = routes_of(self.path.split("?")[0])
        if routes is None:
            return self.reply(404, [("content-type", "application/json")], json.dumps({"message": "Not Found"}).encode())
        if not is_text(body):
            return self.invoke(routes[0]["function"], body)
        path = self.path
        if self.command not in [route["method"] for route in routes]:
            path = f"/lambda-url/{routes[0]['function']}{path}"
        upstream = http.client.HTTPConnection(UPSTREAM.hostname, UPSTREAM.port, timeout=35)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
        upstream.request(self.command, path, body or None, headers)
        answer = upstream.getresponse()
        self.reply(answer.status, answer.getheaders(), answer.read())
        upstream.close()

    def invoke(self, function, body):
        event = json.dumps(event_of(self.command, self.path, self.headers, body))
        upstream = http.client.HTTPConnection(UPSTREAM.hostname, UPSTREAM.port, timeout=35)
        headers = {"Content-Type": "application/json"}
        upstream.request("POST", f"/2015-03-31/functions/{function}/invocations", event, headers)
        answer = json.load(upstream.getresponse())
        upstream.close()
        text = answer.get("body") or ""
        body = base64.b64decode(text) if answer.get("isBase64Encoded") else text.encode()
        self.reply(answer["statusCode"], answer["headers"].items(), body)

    def reply(self, status, headers, body):
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def __getattr__(self, name):
        # Every method, also those that HTTP does not know.
        if name.startswith("do_"):
            return self.relay
        raise AttributeError(name)


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Gateway)
server.daemon_threads = True
with open(sys.argv[3], "w") as file:
    file.write(f"http://127.0.0.1:{server.server_address[1]}")
server.serve_forever()
