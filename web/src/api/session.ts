import { ApiError, toApiError } from "./errors";
import { send } from "./http";
import type { Grant, User } from "./types";

/** `unreachable`: we may be signed in, but the server did not answer when asked. */
export type SessionState =
  | { phase: "restoring" }
  | { phase: "unreachable"; error: ApiError }
  | { phase: "signed-out"; reason: "none" | "expired" | "left" }
  | { phase: "signed-in"; user: User };

/** Milliseconds before its end at which an access token is renewed ahead of use. */
const RENEW_EARLY_MS = 30_000;
/** Says only that a sign-in happened here, so that a first visit asks for no refresh in vain. */
const HINT = "edgetainer.signed-in";
const LOCK = "edgetainer-refresh";

/**
 * Who is signed in. The access token lives in this object and nowhere else; the refresh token is
 * a cookie that scripts can't read. Refreshing rotates that cookie, so tabs take turns by a lock.
 */
export class Session {
  #state: SessionState = { phase: "restoring" };
  #token = "";
  #expiresAt = 0;
  #refreshing: Promise<boolean> | null = null;
  #listeners = new Set<() => void>();
  #channel: BroadcastChannel | null;

  constructor() {
    this.#channel =
      typeof BroadcastChannel === "undefined" ? null : new BroadcastChannel("edgetainer-session");
    this.#channel?.addEventListener("message", (event) => {
      if (event.data === "left" && this.#state.phase === "signed-in") this.#clear("left");
      if (event.data === "entered" && this.#state.phase === "signed-out") void this.restore();
    });
  }

  get state(): SessionState {
    return this.#state;
  }

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  getState = (): SessionState => this.#state;

  /** Finds out at start whether the refresh cookie still signs us in. */
  async restore(): Promise<void> {
    if (readHint() === null) return this.#set({ phase: "signed-out", reason: "none" });
    this.#set({ phase: "restoring" });
    try {
      await this.refresh();
    } catch (reason) {
      this.#set({ phase: "unreachable", error: toApiError(reason) });
    }
  }

  async signIn(username: string, password: string): Promise<void> {
    this.#accept(
      await send<Grant>("/api/auth/login", { method: "POST", body: { username, password } }),
    );
    this.#channel?.postMessage("entered");
  }

  async signOut(): Promise<void> {
    const token = this.#token;
    this.#clear("left");
    this.#channel?.postMessage("left");
    await send<void>("/api/auth/logout", {
      method: "POST",
      headers: { "X-Edgetainer": "1", ...(token ? { Authorization: `Bearer ${token}` } : {}) },
    });
  }

  /** A token good for the next request, renewed first when its end is near. */
  async token(): Promise<string> {
    if (this.#token !== "" && Date.now() >= this.#expiresAt - RENEW_EARLY_MS) await this.refresh();
    if (this.#token === "") {
      throw new ApiError({ code: "session_expired", status: 401, detail: "Sign in again." });
    }
    return this.#token;
  }

  /**
   * Gets a new access token with the refresh cookie. Callers at the same time share one request.
   * Resolves to false, signed out, when the server refuses; throws when it does not answer.
   */
  refresh(): Promise<boolean> {
    this.#refreshing ??= withLock(() => this.#refresh()).finally(() => {
      this.#refreshing = null;
    });
    return this.#refreshing;
  }

  async #refresh(): Promise<boolean> {
    try {
      this.#accept(
        await send<Grant>("/api/auth/refresh", {
          method: "POST",
          headers: { "X-Edgetainer": "1" },
        }),
      );
      return true;
    } catch (reason) {
      const error = toApiError(reason);
      if (error.status !== 401 && error.status !== 403) throw error;
      this.#clear("expired");
      return false;
    }
  }

  #accept(grant: Grant): void {
    this.#token = grant.access_token;
    this.#expiresAt = Date.now() + grant.expires_in * 1000;
    writeHint("1");
    const known = this.#state.phase === "signed-in" ? this.#state.user : null;
    // A renewal must not make every part of the page draw itself again.
    if (known?.id === grant.user.id && known.updated_at === grant.user.updated_at) return;
    this.#set({ phase: "signed-in", user: grant.user });
  }

  #clear(reason: "expired" | "left"): void {
    this.#token = "";
    this.#expiresAt = 0;
    writeHint(null);
    this.#set({ phase: "signed-out", reason });
  }

  #set(state: SessionState): void {
    this.#state = state;
    for (const listener of [...this.#listeners]) listener();
  }
}

async function withLock<T>(work: () => Promise<T>): Promise<T> {
  const locks = typeof navigator === "undefined" ? undefined : navigator.locks;
  return locks ? await locks.request(LOCK, work) : await work();
}

function readHint(): string | null {
  try {
    return localStorage.getItem(HINT);
  } catch {
    return "1";
  }
}

function writeHint(value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(HINT);
    else localStorage.setItem(HINT, value);
  } catch {
    // Storage may be forbidden; then each start asks the server.
  }
}
