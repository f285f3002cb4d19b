from __future__ import annotations

import pytest

from edgetainer.domain.compose import MAX_SERVICES, Port, parse
from edgetainer.errors import EdgetainerError

PAGE = """
name: page
services:
  web:
    image: page:1
    ports: ["8080:80"]
    expose: [443, 80]
    volumes: ["data:/data", "/cache", {type: volume, source: data, target: /d}]
    environment: {API: "https://api.example.com/"}
    restart: unless-stopped
    logging: {driver: json-file, options: {max-size: 1m}}
    security_opt: ["no-new-privileges:true"]
    network_mode: bridge
    deploy: {resources: {limits: {memory: 64M}}}
    privileged: false
    x-note: {build: never read}
  db:
    image: registry.example.com:5000/team/db@sha256:aaaa
    network_mode: "service:web"
volumes: {data: }
networks: {default: {driver: bridge}}
configs: {page: {content: hello}}
x-anything: [1]
"""


def with_service(keys: str, top: str = "") -> str:
    return f"services:\n  web:\n    image: page:1\n    {keys}\n{top}"


def test_a_plain_file_lists_services_and_ports_and_needs_no_privilege() -> None:
    compose = parse(PAGE)
    assert [service.name for service in compose.services] == ["web", "db"]
    web = compose.service("web")
    assert web is not None
    assert web.image == "page:1"
    assert web.ports == (Port(80), Port(443))
    assert compose.service("cache") is None
    assert compose.privileges == ()
    assert compose.explain_privileges() == ""


@pytest.mark.parametrize(
    ("text", "path", "said"),
    [
        ("include: [other.yaml]\nservices: {a: {image: b}}", "include", "stands alone"),
        (with_service("build: ."), "services.web.build", "not built"),
        (with_service("develop: {}"), "services.web.develop", "not built"),
        (with_service("env_file: .env"), "services.web.env_file", "write the variables out"),
        (with_service("label_file: x"), "services.web.label_file", "write the labels out"),
        (with_service("extends: {file: a, service: b}"), "services.web.extends", "write the"),
        (with_service("provider: {type: sh}"), "services.web.provider", "on the device's host"),
        ("services: {a: {image: 'https://x/y'}}", "services.a.image", "not an image name"),
        ("services: {a: {image: 'oci://x/y'}}", "services.a.image", "not an image name"),
        ("services: {a: {image: '-v'}}", "services.a.image", "not an image name"),
        ("services: {a: {image: [x]}}", "services.a.image", "not an image name"),
        ("services: {a: {command: x}}", "services.a.image", "is missing"),
        ("services: {a: }", "services.a", "must be a mapping"),
        ("services: {'a b': {image: x}}", "services.a b", "not a usable name"),
        ("services: {'../a': {image: x}}", "services.../a", "not a usable name"),
        ("services: {}", "services", "empty"),
        ("services: [a]", "services", "must be a mapping"),
        ("name: x", "services", "missing"),
        ("service: {a: {image: x}}", "service", "not a known part"),
        ("[]", "compose", "The file must be a mapping"),
        ("just text", "compose", "The file must be a mapping"),
        (with_service("volumes: data"), "services.web.volumes", "must be a list"),
        (with_service("volumes: [3]"), "services.web.volumes[0]", "must be a mapping"),
        (with_service("ports: [web]"), "services.web.ports[0]", "not a port"),
        (with_service("", "volumes: [a]"), "volumes", "must be a mapping"),
    ],
)
def test_what_cannot_run_is_refused_by_its_path(text: str, path: str, said: str) -> None:
    with pytest.raises(EdgetainerError) as caught:
        parse(text)
    assert caught.value.code == "compose_invalid"
    assert caught.value.field == path
    assert said in caught.value.detail


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (with_service("privileged: true"), "services.web.privileged"),
        (with_service("privileged: yes"), "services.web.privileged"),
        (with_service("privileged: ${X}"), "services.web.privileged"),
        (with_service("volumes: ['/:/host']"), "services.web.volumes[0]"),
        (with_service("volumes: ['./a:/a']"), "services.web.volumes[0]"),
        (with_service("volumes: ['~/a:/a']"), "services.web.volumes[0]"),
        (with_service("volumes: ['C:\\a:/a']"), "services.web.volumes[0]"),
        (with_service("volumes: ['c:x/../../../etc:/a']"), "services.web.volumes[0]"),
        (with_service("volumes: ['c:/a']"), "services.web.volumes[0]"),
        (with_service("volumes: ['${X}:/a']"), "services.web.volumes[0]"),
        (with_service("volumes: ['${X}']"), "services.web.volumes[0]"),
        (
            with_service("volumes: [aa:/a, '/var/run/docker.sock:/var/run/docker.sock']"),
            "services.web.volumes[1]",
        ),
        (with_service("volumes: [{type: bind, source: /, target: /h}]"), "services.web.volumes[0]"),
        (with_service("volumes: [{type: '${T}', source: a}]"), "services.web.volumes[0]"),
        (with_service("volumes: [{source: /etc, target: /h}]"), "services.web.volumes[0]"),
        (with_service("network_mode: host"), "services.web.network_mode"),
        (with_service("network_mode: 'container:other'"), "services.web.network_mode"),
        (with_service("network_mode: '${X}'"), "services.web.network_mode"),
        (with_service("logging: {driver: fluentd}"), "services.web.logging"),
        (with_service("logging: {driver: '${X}'}"), "services.web.logging"),
        (with_service("logging: {driver: }"), "services.web.logging"),
        (with_service("pid: host"), "services.web.pid"),
        (with_service("ipc: host"), "services.web.ipc"),
        (with_service("uts: host"), "services.web.uts"),
        (with_service("userns_mode: host"), "services.web.userns_mode"),
        (with_service("cgroup_parent: /"), "services.web.cgroup_parent"),
        (with_service("cap_add: [SYS_ADMIN]"), "services.web.cap_add"),
        (with_service("devices: ['/dev/sda']"), "services.web.devices"),
        (with_service("device_cgroup_rules: ['a']"), "services.web.device_cgroup_rules"),
        (with_service("security_opt: ['seccomp:unconfined']"), "services.web.security_opt"),
        (with_service("use_api_socket: true"), "services.web.use_api_socket"),
        (with_service("volumes_from: ['container:x']"), "services.web.volumes_from"),
        (with_service("post_start: [{command: x}]"), "services.web.post_start"),
        (with_service("invented_tomorrow: 1"), "services.web.invented_tomorrow"),
        (
            with_service("deploy: {resources: {reservations: {devices: [{driver: cdi}]}}}"),
            "services.web.deploy",
        ),
        (with_service("", "volumes: {d: {driver_opts: {o: bind, device: /}}}"), "volumes.d"),
        (with_service("", "volumes: {d: {external: true}}"), "volumes.d"),
        (with_service("", "volumes: {d: {name: others}}"), "volumes.d"),
        (with_service("", "networks: {n: {driver: macvlan}}"), "networks.n"),
        (with_service("", "networks: {n: {external: true, name: host}}"), "networks.n"),
        (with_service("", "configs: {c: {file: /etc/shadow}}"), "configs.c.file"),
        (with_service("", "secrets: {s: {file: ./key}}"), "secrets.s.file"),
        (with_service("", "secrets: {s: {environment: HOME}}"), "secrets.s.environment"),
    ],
)
def test_what_reaches_the_host_is_a_privilege(text: str, path: str) -> None:
    compose = parse(text)
    assert [privilege.path for privilege in compose.privileges] == [path]
    assert path in compose.explain_privileges()


def test_a_privilege_hidden_behind_an_anchor_is_found() -> None:
    text = "x-a: &a {privileged: true}\nservices:\n  web:\n    <<: *a\n    image: page:1\n"
    assert [p.path for p in parse(text).privileges] == ["services.web.privileged"]


def test_a_long_list_of_privileges_is_cut_short_for_people() -> None:
    services = "\n".join(f"  s{n}: {{image: x, privileged: true}}" for n in range(7))
    assert parse("services:\n" + services).explain_privileges().endswith("; and 2 more")


def test_the_number_of_services_is_bounded() -> None:
    def many(count: int) -> str:
        return "services:\n" + "\n".join(f"  s{n}: {{image: x}}" for n in range(count))

    assert len(parse(many(MAX_SERVICES)).services) == MAX_SERVICES
    with pytest.raises(EdgetainerError, match="at most 64"):
        parse(many(MAX_SERVICES + 1))
