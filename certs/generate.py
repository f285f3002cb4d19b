"""Make certificates for development: authorities, server, tunnel and devices.

The very code that a server uses at its first start, so what is tried out by hand
behaves as in production. Run again it keeps what it made.
"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path
from uuid import NAMESPACE_DNS, uuid5

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from edgetainer.services import certificates
from edgetainer.services.authority import Authority, read_request
from edgetainer.services.web_authority import WebAuthority
from edgetainer.storage import files


def now() -> datetime:
    """The time, as the authorities want it."""
    return datetime.now(UTC)


def make_device(folder: Path, authority: Authority, name: str) -> str:
    """A device's key and certificate, from a request as a real device sends it.

    :returns: the device's id, the same for the same name.
    """
    device_id = str(uuid5(NAMESPACE_DNS, name))
    key = certificates.kept_key(folder / f"{name}.key")
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .sign(key, hashes.SHA256())
    )
    pem = request.public_bytes(certificates.Encoding.PEM).decode()
    issued = authority.issue(read_request(pem), device_id)
    files.write(folder / f"{name}.pem", issued.certificate.encode(), mode=files.PUBLIC_MODE)
    return device_id


def main(arguments: list[str] | None = None) -> None:
    """Read the command line and make everything."""
    parser = argparse.ArgumentParser(description="Make certificates for development.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--console-host", default="localhost")
    parser.add_argument("--apps-domain", default="apps.edgetainer.localhost")
    parser.add_argument("--devices", type=int, default=1)
    options = parser.parse_args(arguments)

    web = WebAuthority(
        options.folder / "tls",
        console_host=options.console_host,
        apps_domain=options.apps_domain,
        now=now,
    )
    authority = Authority(options.folder / "keys", now=now)
    print(f"authority for browsers       {web.ca_file}")
    print(f"installation's authority     {options.folder / 'keys' / 'installation-ca.pem'}")
    for number in range(1, options.devices + 1):
        name = f"device-{number}"
        device_id = make_device(options.folder / "devices", authority, name)
        print(f"{name} is {device_id}   {options.folder / 'devices' / name}.pem")


if __name__ == "__main__":
    main()
