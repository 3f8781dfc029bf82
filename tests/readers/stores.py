"""Looks into an object store without rivet's help.

usage: stores.py list|fetch|uploads|headers|tags s3|gcs|azure PREFIX [FOLDER], stores.py sas azure PERMISSIONS EXPIRY

list prints {key: size} of the objects under PREFIX, keys relative to it; fetch copies them into FOLDER; uploads prints
the keys of uploads that nobody completed; headers and tags print {key: {name: value}}; sas makes a shared access signature for the account. The store's RIVET_TEST_* variables say where it is.
S3 is spoken by requests signed here (AWS's published algorithm), Google's by its JSON API, Azure by pyarrow."""

import base64
import datetime
import hashlib
import hmac
import json
import os
import sys
import urllib.parse
import urllib.request
import xml.etree.ElementTree as ElementTree

what, kind, prefix, *rest = sys.argv[1:]
setting = lambda name: os.environ[f"RIVET_TEST_{kind.upper()}_{name}"]
quote = lambda text, safe="": urllib.parse.quote(text, safe=safe)


def s3(method, key="", **query):
    endpoint = urllib.parse.urlsplit(setting("ENDPOINT"))
    path = "/" + quote(setting("BUCKET")) + ("/" + quote(key, "/") if key else "")
    query = "&".join(f"{quote(name)}={quote(value)}" for name, value in sorted(query.items()))
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{now[:8]}/us-east-1/s3/aws4_request"
    headers = {"host": endpoint.netloc, "x-amz-content-sha256": "UNSIGNED-PAYLOAD", "x-amz-date": now}
    names = ";".join(headers)
    canonical = "\n".join([method, path, query, *(f"{name}:{value}" for name, value in headers.items()), "", names, "UNSIGNED-PAYLOAD"])
    text = "\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key_bytes = f"AWS4{setting('SECRET_KEY')}".encode()
    for step in scope.split("/"):
        key_bytes = hmac.new(key_bytes, step.encode(), hashlib.sha256).digest()
    signature = hmac.new(key_bytes, text.encode(), hashlib.sha256).hexdigest()
    headers["authorization"] = f"AWS4-HMAC-SHA256 Credential={setting('ACCESS_KEY')}/{scope}, SignedHeaders={names}, Signature={signature}"
    del headers["host"]
    url = f"{setting('ENDPOINT')}{path}" + (f"?{query}" if query else "")
    answer = urllib.request.urlopen(urllib.request.Request(url, method=method, headers=headers), timeout=60)
    return dict((name.lower(), value) for name, value in answer.headers.items()) if method == "HEAD" else answer.read()


def pages(ask):
    """The elements of all pages of an XML listing: each page, and what asks for the next."""
    markers = {}
    while True:
        page = ElementTree.fromstring(ask(markers))
        for element in page.iter():
            element.tag = element.tag.split("}")[-1]
        yield page
        if page.findtext("IsTruncated") != "true":
            return
        if page.findtext("NextContinuationToken"):
            markers = {"continuation-token": page.findtext("NextContinuationToken")}
        else:
            markers = {"key-marker": page.findtext("NextKeyMarker"), "upload-id-marker": page.findtext("NextUploadIdMarker")}


def gcs(method, path, **query):
    url = f"{setting('ENDPOINT')}{path}" + ("?" + urllib.parse.urlencode(query) if query else "")
    request = urllib.request.Request(url, method=method, headers={"Authorization": f"Bearer {setting('TOKEN')}"})
    return urllib.request.urlopen(request, timeout=60).read()


def azure():
    from pyarrow.fs import AzureFileSystem

    host = urllib.parse.urlsplit(setting("ENDPOINT")).netloc
    return AzureFileSystem(
        account_name=setting("ACCOUNT"), account_key=setting("KEY"), blob_storage_authority=host,
        dfs_storage_authority=host, blob_storage_scheme="http", dfs_storage_scheme="http",
    )


def sizes():
    found = {}
    if kind == "s3":
        for page in pages(lambda markers: s3("GET", **{"list-type": "2", "prefix": prefix, **markers})):
            for one in page.iter("Contents"):
                found[one.findtext("Key")] = int(one.findtext("Size"))
    elif kind == "gcs":
        token = {}
        while token is not None:
            page = json.loads(gcs("GET", f"/storage/v1/b/{setting('BUCKET')}/o", prefix=prefix, **token))
            found.update((one["name"], int(one["size"])) for one in page.get("items", []))
            token = {"pageToken": page["nextPageToken"]} if page.get("nextPageToken") else None
    else:
        from pyarrow.fs import FileSelector, FileType

        folder = f"{setting('BUCKET')}/{prefix.rstrip('/')}"
        for info in azure().get_file_info(FileSelector(folder, allow_not_found=True, recursive=True)):
            if info.type == FileType.File:
                found[info.path.split("/", 1)[1]] = info.size
    return {key: size for key, size in found.items() if not key.endswith("/")}


def body(key):
    if kind == "s3":
        return s3("GET", key)
    if kind == "gcs":
        return gcs("GET", f"/storage/v1/b/{setting('BUCKET')}/o/{quote(key)}", alt="media")
    with azure().open_input_stream(f"{setting('BUCKET')}/{key}", compression=None) as stream:
        return stream.read()


def sas(permissions, expiry):
    fields = {"sp": permissions, "ss": "b", "srt": "sco", "st": "2020-01-01T00:00:00Z", "se": expiry, "sip": "", "spr": "https,http", "sv": "2021-06-08"}
    text = "\n".join([setting("ACCOUNT"), *fields.values(), "", ""])
    signature = base64.b64encode(hmac.new(base64.b64decode(setting("KEY")), text.encode(), hashlib.sha256).digest()).decode()
    return urllib.parse.urlencode({name: value for name, value in fields.items() if value} | {"sig": signature})


def headers(key):
    if kind == "s3":
        return s3("HEAD", key)
    if kind == "gcs":
        known = json.loads(gcs("GET", f"/storage/v1/b/{setting('BUCKET')}/o/{quote(key)}"))
        return {"content-type": known.get("contentType", ""), "x-goog-storage-class": known.get("storageClass", "")}
    answer = azure_http("HEAD", key)
    return {name.lower(): value for name, value in answer.headers.items()}


def azure_http(method, key, query=""):
    url = f"{setting('ENDPOINT')}/{setting('BUCKET')}/{quote(key)}?{query}{sas('rt', '2099-01-01T00:00:00Z')}"
    request = urllib.request.Request(url, method=method, headers={"x-ms-version": "2021-06-08"})
    return urllib.request.urlopen(request, timeout=60)


def tags(key):
    if kind == "s3":
        text = s3("GET", key, tagging="")
    else:
        text = azure_http("GET", key, "comp=tags&").read()
    root = ElementTree.fromstring(text)
    for element in root.iter():
        element.tag = element.tag.split("}")[-1]
    return {one.findtext("Key"): one.findtext("Value") or "" for one in root.iter("Tag")}


if what == "list":
    json.dump({key.removeprefix(prefix): size for key, size in sizes().items()}, sys.stdout)
elif what == "fetch":
    for key in sizes():
        path = os.path.join(rest[0], key.removeprefix(prefix))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(body(key))
elif what == "uploads":
    if kind == "azure":
        sys.exit("Azure lists no unfinished uploads")
    ask = lambda markers: (
        s3("GET", **{"uploads": "", "prefix": prefix, **markers})
        if kind == "s3"
        else gcs("GET", f"/{setting('BUCKET')}", **{"uploads": "", "prefix": prefix, **markers})
    )
    json.dump([one.findtext("Key").removeprefix(prefix) for page in pages(ask) for one in page.iter("Upload")], sys.stdout)
elif what == "headers":
    json.dump({key.removeprefix(prefix): headers(key) for key in sizes()}, sys.stdout)
elif what == "tags":
    json.dump({key.removeprefix(prefix): tags(key) for key in sizes()}, sys.stdout)
elif what == "sas":
    json.dump(sas(prefix, rest[0]), sys.stdout)
else:
    sys.exit(f"unknown command {what}")
