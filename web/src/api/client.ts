import { toApiError } from "./errors";
import { type Request, send } from "./http";
import { Session } from "./session";

/** The one way from the console to the REST API: signs requests and renews a token once. */
export class Client {
  readonly session: Session;

  constructor(session: Session) {
    this.session = session;
  }

  get<T>(path: string, signal?: AbortSignal): Promise<T> {
    return this.#call<T>(path, { method: "GET", signal });
  }

  post<T>(path: string, body?: unknown): Promise<T> {
    return this.#call<T>(path, { method: "POST", body });
  }

  put<T>(path: string, body: unknown): Promise<T> {
    return this.#call<T>(path, { method: "PUT", body });
  }

  delete<T>(path: string): Promise<T> {
    return this.#call<T>(path, { method: "DELETE" });
  }

  async #call<T>(path: string, request: Request): Promise<T> {
    try {
      return await this.#signed<T>(path, request, await this.session.token());
    } catch (reason) {
      // A 401 says that nothing was done, so even a POST may be sent again.
      const error = toApiError(reason);
      const renewable = error.status === 401 && error.code !== "invalid_credentials";
      if (!renewable || this.session.state.phase !== "signed-in") throw reason;
      if (!(await this.session.refresh())) throw reason;
      return await this.#signed<T>(path, request, await this.session.token());
    }
  }

  #signed<T>(path: string, request: Request, token: string): Promise<T> {
    return send<T>(path, { ...request, headers: { Authorization: `Bearer ${token}` } });
  }
}

export const session = new Session();
export const client = new Client(session);
