import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Client } from "./client";
import { Session } from "./session";

/** A server at the boundary of the browser: hands out tokens and knows which is good. */
class Server {
  good = "";
  cookie = true;
  up = true;
  issued = 0;
  expiresIn = 600;
  seen: string[] = [];

  fetch = async (path: string, init: RequestInit): Promise<Response> => {
    const headers = new Headers(init.headers);
    const token = headers.get("authorization")?.replace("Bearer ", "") ?? "-";
    this.seen.push(`${init.method} ${path} ${token}`);
    if (!this.up) throw new TypeError("Failed to fetch");
    if (path === "/api/auth/login") {
      const { password } = JSON.parse(String(init.body));
      return password === "right" ? this.#grant() : this.#problem(401, "invalid_credentials");
    }
    if (path === "/api/auth/refresh") {
      const allowed = this.cookie && headers.get("x-edgetainer") === "1";
      return allowed ? this.#grant() : this.#problem(401, "session_expired");
    }
    if (path === "/api/auth/logout") {
      this.cookie = false;
      return new Response(null, { status: 204 });
    }
    return token === this.good
      ? new Response('{"ok":true}')
      : this.#problem(401, "unauthenticated");
  };

  #grant(): Response {
    this.issued += 1;
    this.good = `t${this.issued}`;
    const user = { id: "u", username: "ann", role: "admin", updated_at: "2026-01-01T00:00:00Z" };
    return new Response(
      JSON.stringify({ access_token: this.good, expires_in: this.expiresIn, user }),
    );
  }

  #problem(status: number, code: string): Response {
    return new Response(JSON.stringify({ code, status, detail: "no" }), { status });
  }
}

let server: Server;
let session: Session;
let client: Client;

beforeEach(() => {
  localStorage.clear();
  server = new Server();
  vi.stubGlobal("fetch", server.fetch);
  session = new Session();
  client = new Client(session);
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe("signing in", () => {
  it("keeps the token in memory and nowhere that outlives the page", async () => {
    await session.signIn("ann", "right");
    expect(session.state).toMatchObject({ phase: "signed-in", user: { username: "ann" } });
    expect(JSON.stringify(localStorage)).not.toContain("t1");
    expect(document.cookie).toBe("");
    expect(await client.get("/api/devices")).toEqual({ ok: true });
    expect(server.seen.at(-1)).toBe("GET /api/devices t1");
  });

  it("tells a wrong password by its code and does not ask for a refresh", async () => {
    await session.restore();
    await expect(session.signIn("ann", "wrong")).rejects.toMatchObject({
      code: "invalid_credentials",
    });
    expect(session.state.phase).toBe("signed-out");
    expect(server.seen).toEqual(["POST /api/auth/login -"]);
  });

  it("asks nothing on a first visit", async () => {
    await session.restore();
    expect(session.state).toEqual({ phase: "signed-out", reason: "none" });
    expect(server.seen).toEqual([]);
  });

  it("comes back after a reload with the cookie alone", async () => {
    await session.signIn("ann", "right");
    const reloaded = new Session();
    await reloaded.restore();
    expect(reloaded.state.phase).toBe("signed-in");
  });

  it("says that the server can't be reached rather than signing out", async () => {
    await session.signIn("ann", "right");
    server.up = false;
    const reloaded = new Session();
    await reloaded.restore();
    expect(reloaded.state).toMatchObject({ phase: "unreachable", error: { code: "network" } });
    server.up = true;
    await reloaded.restore();
    expect(reloaded.state.phase).toBe("signed-in");
  });
});

describe("renewing", () => {
  it("renews once after a 401 and sends the request again", async () => {
    await session.signIn("ann", "right");
    server.good = "changed";
    expect(await client.post("/api/hub/ticket")).toEqual({ ok: true });
    expect(server.seen.slice(1)).toEqual([
      "POST /api/hub/ticket t1",
      "POST /api/auth/refresh -",
      "POST /api/hub/ticket t2",
    ]);
  });

  it("does not go round in circles when the new token is refused too", async () => {
    await session.signIn("ann", "right");
    server.good = "never";
    const fetched = server.fetch;
    vi.stubGlobal("fetch", async (path: string, init: RequestInit) => {
      const answer = await fetched(path, init);
      server.good = "never";
      return answer;
    });
    await expect(client.get("/api/devices")).rejects.toMatchObject({ status: 401 });
    expect(server.seen.filter((line) => line.includes("refresh"))).toHaveLength(1);
  });

  it("shares one refresh among requests that fail together", async () => {
    await session.signIn("ann", "right");
    server.good = "changed";
    await Promise.all([client.get("/api/a"), client.get("/api/b"), client.get("/api/c")]);
    expect(server.seen.filter((line) => line.includes("refresh"))).toHaveLength(1);
  });

  it("signs out when the refresh is refused", async () => {
    await session.signIn("ann", "right");
    server.good = "changed";
    server.cookie = false;
    await expect(client.get("/api/devices")).rejects.toMatchObject({ status: 401 });
    expect(session.state).toEqual({ phase: "signed-out", reason: "expired" });
    await expect(client.get("/api/devices")).rejects.toMatchObject({ code: "session_expired" });
  });

  it("renews ahead of the end, so that no request is spent on a 401", async () => {
    vi.useFakeTimers({ toFake: ["Date"] });
    await session.signIn("ann", "right");
    vi.setSystemTime(Date.now() + (server.expiresIn - 29) * 1000);
    await client.get("/api/devices");
    expect(server.seen.slice(1)).toEqual(["POST /api/auth/refresh -", "GET /api/devices t2"]);
  });

  it("does not disturb the page when nothing about the user changed", async () => {
    await session.signIn("ann", "right");
    const heard = vi.fn();
    session.subscribe(heard);
    await session.refresh();
    expect(heard).not.toHaveBeenCalled();
  });
});

describe("signing out", () => {
  it("forgets at once and tells the server", async () => {
    await session.signIn("ann", "right");
    const leaving = session.signOut();
    expect(session.state).toEqual({ phase: "signed-out", reason: "left" });
    await leaving;
    expect(server.seen.at(-1)).toBe("POST /api/auth/logout t1");
    const reloaded = new Session();
    await reloaded.restore();
    expect(reloaded.state.phase).toBe("signed-out");
  });
});
