import { ApiError, fromProblem } from "./errors";

/** Milliseconds before a request is given up. Commands on slow devices take the longest. */
export const REQUEST_TIMEOUT_MS = 45_000;

export interface Request {
  method?: "GET" | "POST" | "PUT" | "DELETE";
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal | undefined;
}

/** Sends one request and returns the parsed JSON, or throws an `ApiError`. */
export async function send<T>(path: string, request: Request = {}): Promise<T> {
  const timeout = AbortSignal.timeout(REQUEST_TIMEOUT_MS);
  const signal = request.signal ? AbortSignal.any([request.signal, timeout]) : timeout;
  const headers: Record<string, string> = { Accept: "application/json", ...request.headers };
  const init: RequestInit = {
    method: request.method ?? "GET",
    headers,
    credentials: "same-origin",
    cache: "no-store",
    signal,
  };
  if (request.body !== undefined) {
    headers["Content-Type"] = "application/json";
    init.body = JSON.stringify(request.body);
  }
  let response: Response;
  let text: string;
  try {
    response = await fetch(path, init);
    text = await response.text();
  } catch (reason) {
    if (request.signal?.aborted) throw reason;
    throw timeout.aborted
      ? new ApiError({ code: "timeout", status: 0, detail: "No answer arrived in time." })
      : new ApiError({ code: "network", status: 0, detail: "The server can't be reached." });
  }
  const body = parse(text);
  if (!response.ok) throw fromProblem(response.status, body);
  if (text !== "" && body === undefined) {
    throw new ApiError({
      code: "unexpected_answer",
      status: response.status,
      detail: "The server's answer is not JSON.",
    });
  }
  return body as T;
}

function parse(text: string): unknown {
  try {
    return text === "" ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}
