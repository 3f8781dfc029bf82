"""Stands before fake-gcs-server and adds what rivet's destination needs and it lacks:

* a bearer token that is checked (RIVET_TEST_GCS_TOKEN);
* the XML API's uploads in parts, with their listing, `x-goog-hash` checked and answered;
* the JSON API's resumable uploads with `ifGenerationMatch`.

Everything else is passed on. usage: gcs_front.py PORT BACKEND_PORT"""

import base64
import datetime
import hashlib
import http.client
import json
import os
import re
import signal
import sys
import threading
import urllib.parse
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from xml.sax.saxutils import escape

import google_crc32c

PORT, BACKEND = int(sys.argv[1]), int(sys.argv[2])
TOKEN = os.environ["RIVET_TEST_GCS_TOKEN"]
SMALLEST_PART = 5 << 20
lock = threading.Lock()
uploads = {}
sessions = {}
backends = threading.local()


class Upload:
    def __init__(self, bucket, key, content_type):
        self.bucket, self.key, self.content_type = bucket, key, content_type
        self.parts = {}
        self.started = datetime.datetime.now(datetime.timezone.utc)


def crc32c(body):
    return base64.b64encode(google_crc32c.value(body).to_bytes(4, "big")).decode()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", content_type="application/xml", headers=()):
        self.send_response(status)
        headers = dict(headers)
        if body or content_type != "application/xml":
            self.send_header("Content-Type", content_type)
        headers.setdefault("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    def xml(self, root, content, status=200, headers=()):
        self.answer(status, f'<?xml version="1.0" encoding="UTF-8"?><{root}>{content}</{root}>'.encode(), headers=headers)

    def refuse(self, status, code, message):
        self.xml("Error", f"<Code>{code}</Code><Message>{escape(message)}</Message>", status)

    def refuse_json(self, status, reason, message):
        body = {"error": {"code": status, "message": message, "errors": [{"reason": reason, "message": message}]}}
        self.answer(status, json.dumps(body).encode(), "application/json")

    def backend(self, method, path, body, headers):
        for attempt in (1, 2):
            connection = getattr(backends, "connection", None)
            if connection is None:
                connection = backends.connection = http.client.HTTPConnection("127.0.0.1", BACKEND, timeout=120)
            try:
                connection.request(method, path, body, headers)
                answer = connection.getresponse()
                return answer, answer.read()
            except (http.client.HTTPException, ConnectionError):
                connection.close()
                backends.connection = None
                if attempt == 2:
                    raise

    def insert(self, bucket, key, content_type, body, condition=None):
        """Makes an object in the server behind."""
        border = uuid.uuid4().hex
        metadata = json.dumps({"name": key, "contentType": content_type})
        whole = (
            f"--{border}\r\nContent-Type: application/json\r\n\r\n{metadata}\r\n"
            f"--{border}\r\nContent-Type: {content_type}\r\n\r\n"
        ).encode() + body + f"\r\n--{border}--\r\n".encode()
        path = f"/upload/storage/v1/b/{bucket}/o?uploadType=multipart"
        if condition is not None:
            path += f"&ifGenerationMatch={condition}"
        return self.backend("POST", path, whole, {"Content-Type": f"multipart/related; boundary={border}"})

    def serve(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if len(body) < length:
            self.close_connection = True
            return
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        in_session = url.path.startswith("/upload/") and query.get("upload_id") in sessions
        if not in_session and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.refuse_json(401, "authError", "Invalid Credentials")
        first, _, rest = url.path.lstrip("/").partition("/")
        if in_session:
            self.session(sessions[query["upload_id"]], query["upload_id"], body)
        elif url.path.startswith("/upload/") and query.get("uploadType") == "resumable":
            identity = uuid.uuid4().hex
            metadata = json.loads(body or b"{}")
            content_type = metadata.get("contentType") or self.headers.get("X-Upload-Content-Type") or "application/octet-stream"
            bucket = url.path.split("/")[5]
            sessions[identity] = dict(
                bucket=bucket, key=query["name"], type=content_type, body=b"", condition=query.get("ifGenerationMatch"), done=None
            )
            location = f"http://{self.headers['Host']}{url.path}?uploadType=resumable&upload_id={identity}"
            self.answer(200, headers={"Location": location})
        elif first not in ("storage", "upload", "download", "batch") and ("uploads" in query or "uploadId" in query):
            self.multipart(first, urllib.parse.unquote(rest), query, body)
        else:
            self.pass_on(body)

    def session(self, session, identity, body):
        """A resumable upload's next bytes."""
        if session["done"] is None:
            span = re.fullmatch(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)", self.headers.get("Content-Range", "bytes */*"))
            if span.group(1) is not None:
                session["body"] = session["body"][: int(span.group(1))] + body
            if span.group(3) == "*" or len(session["body"]) < int(span.group(3)):
                stored = {"Range": f"bytes=0-{len(session['body']) - 1}"} if session["body"] else {}
                return self.answer(308, headers=stored)
            answer, content = self.insert(session["bucket"], session["key"], session["type"], session["body"], session["condition"])
            session["done"] = (answer.status, content)
        status, content = session["done"]
        if status == 412:
            return self.refuse_json(412, "conditionNotMet", "Precondition Failed")
        self.answer(status, content, "application/json")

    def multipart(self, bucket, key, query, body):
        if self.command == "GET":
            return self.listing(bucket, query)
        if self.command == "POST" and "uploads" in query:
            identity = uuid.uuid4().hex
            with lock:
                uploads[identity] = Upload(bucket, key, self.headers.get("Content-Type") or "application/octet-stream")
            fields = f"<Bucket>{bucket}</Bucket><Key>{escape(key)}</Key><UploadId>{identity}</UploadId>"
            return self.xml("InitiateMultipartUploadResult", fields)
        identity = query.get("uploadId")
        upload = uploads.get(identity)
        if upload is None:
            return self.refuse(404, "NoSuchUpload", "The upload does not exist, or has ended.")
        if self.command == "DELETE":
            with lock:
                uploads.pop(identity, None)
            self.answer(204)
        elif self.command == "PUT":
            sent = re.search(r"crc32c=([^,\s]+)", self.headers.get("x-goog-hash", ""))
            if sent and sent.group(1) != crc32c(body):
                return self.refuse(400, "BadDigest", "The CRC32C you specified did not match what we received.")
            etag = f'"{hashlib.md5(body).hexdigest()}"'
            upload.parts[int(query["partNumber"])] = (body, etag)
            self.answer(200, headers={"ETag": etag, "x-goog-hash": f"crc32c={crc32c(body)}"})
        else:
            self.complete(identity, upload, body)

    def complete(self, identity, upload, body):
        named = re.findall(r"<PartNumber>\s*(\d+)\s*</PartNumber>\s*<ETag>(.*?)</ETag>", body.decode(), re.S)
        whole = []
        for position, (number, etag) in enumerate(named, 1):
            part = upload.parts.get(int(number))
            if part is None or part[1].strip('"') != etag.replace("&quot;", '"').strip('"'):
                return self.refuse(400, "InvalidPart", f"Part {number} is not there or has another ETag.")
            if position < len(named) and len(part[0]) < SMALLEST_PART:
                return self.refuse(400, "EntityTooSmall", f"Part {number} is too small.")
            whole.append(part[0])
        answer, content = self.insert(upload.bucket, upload.key, upload.content_type, b"".join(whole))
        if answer.status != 200:
            return self.refuse(answer.status, "InternalError", content.decode("utf-8", "replace"))
        with lock:
            uploads.pop(identity, None)
        self.xml("CompleteMultipartUploadResult", f"<Key>{escape(upload.key)}</Key><ETag>&quot;{identity}&quot;</ETag>")

    def listing(self, bucket, query):
        with lock:
            found = sorted(
                (upload.key, identity, upload.started)
                for identity, upload in uploads.items()
                if upload.bucket == bucket and upload.key.startswith(query.get("prefix", ""))
            )
        after = (query.get("key-marker", ""), query.get("upload-id-marker", ""))
        found = [one for one in found if one[:2] > after]
        most = int(query.get("max-uploads") or 1000)
        fields = f"<Bucket>{bucket}</Bucket><IsTruncated>{'true' if len(found) > most else 'false'}</IsTruncated>"
        if len(found) > most:
            fields += f"<NextKeyMarker>{escape(found[most - 1][0])}</NextKeyMarker>"
            fields += f"<NextUploadIdMarker>{found[most - 1][1]}</NextUploadIdMarker>"
        for key, identity, started in found[:most]:
            time = started.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            fields += f"<Upload><Key>{escape(key)}</Key><UploadId>{identity}</UploadId><Initiated>{time}</Initiated></Upload>"
        self.xml("ListMultipartUploadsResult", fields)

    def pass_on(self, body):
        dropped = ("host", "transfer-encoding", "content-length", "connection", "authorization", "accept-encoding")
        headers = {name: value for name, value in self.headers.items() if name.lower() not in dropped}
        headers["Host"] = f"127.0.0.1:{PORT}"
        answer, content = self.backend(self.command, self.path, body or None, headers)
        dropped = ("transfer-encoding", "connection", "content-type", "date", "content-length")
        headers = {name: value for name, value in answer.getheaders() if name.lower() not in dropped}
        if self.command == "HEAD" and answer.getheader("Content-Length"):
            headers["Content-Length"] = answer.getheader("Content-Length")
        self.answer(answer.status, content, answer.getheader("Content-Type") or "application/octet-stream", headers)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_PATCH = serve


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


# A shell starts background programs with this signal ignored.
signal.signal(signal.SIGINT, signal.SIG_DFL)
Server(("127.0.0.1", PORT), Handler).serve_forever()
