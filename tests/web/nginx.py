"""nginx on loopback over a folder, with a configuration of its own; started and ended by its process id.

    with Nginx(folder_for_its_files, root=repository, cert=cert, key=key) as server:
        server.url          "https://localhost:PORT"
        server.log()        lines of its access log
    Nginx(..., client_ca=path)            asks for client certificates and insists
    Nginx(..., tls=["TLSv1.2"])           versions
    Nginx(..., extra="location ...")      more for its server block
"""
import os
import socket
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
CONFIG = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
{user}
events {{ worker_connections 4096; }}
http {{
    log_format t '$connection $connection_requests $request_method $uri $http_range $status $bytes_sent '
                 '$request_length';
    access_log {folder}/access.log t;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/t1; fastcgi_temp_path {folder}/t2;
    uwsgi_temp_path {folder}/t3; scgi_temp_path {folder}/t4;
    types {{ application/cbor cbor; }} default_type application/octet-stream;
    keepalive_requests 100000;
    server {{
        listen 127.0.0.1:{port} ssl backlog=4096;
        server_name localhost;
        ssl_certificate {cert};
        ssl_certificate_key {key};
        ssl_protocols {tls};
        ssl_session_tickets off;
        {client}
        root {root};
        {extra}
    }}
}}
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Nginx:
    def __init__(self, folder, root, cert, key, client_ca=None, tls=("TLSv1.2", "TLSv1.3"), extra=""):
        self.folder, self.port = Path(folder).resolve(), free_port()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.url = f"https://localhost:{self.port}"
        client = f"ssl_client_certificate {client_ca}; ssl_verify_client on;" if client_ca else ""
        self.config = self.folder / "nginx.conf"
        self.config.write_text(CONFIG.format(
            folder=self.folder, port=self.port, cert=Path(cert).resolve(), key=Path(key).resolve(), tls=" ".join(tls),
            client=client, root=Path(root).resolve(), extra=extra, user="user root;" if os.getuid() == 0 else ""))
        self.process = None

    def __enter__(self):
        program = subprocess.run([ROOT / "scripts/fetch-program.sh", "nginx"], check=True, capture_output=True,
                                 text=True).stdout
        self.process = subprocess.Popen([program.strip(), "-p", str(self.folder), "-c", str(self.config), "-e",
                                         str(self.folder / "error.log")],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.05)
        self.__exit__()
        raise RuntimeError("nginx did not start: " + (self.folder / "error.log").read_text()[-500:])

    def __exit__(self, *_):
        if self.process is not None:
            self.process.terminate()
            self.process.wait()
            self.process = None

    def log(self):
        path = self.folder / "access.log"
        return path.read_text().splitlines() if path.exists() else []
