import { afterEach, describe, expect, it, vi } from "vitest";
import { ApiError } from "./errors";
import { send } from "./http";
import { explain } from "./messages";

function answer(status: number, body: string, type = "application/json") {
  const fetched = vi.fn(async (_path: string, _init: RequestInit) => {
    return new Response(status === 204 ? null : body, {
      status,
      headers: { "Content-Type": type },
    });
  });
  vi.stubGlobal("fetch", fetched);
  return fetched;
}

const failure = async (promise: Promise<unknown>): Promise<ApiError> => {
  try {
    await promise;
  } catch (reason) {
    if (reason instanceof ApiError) return reason;
    throw reason;
  }
  throw new Error("it did not fail");
};

afterEach(() => vi.unstubAllGlobals());

describe("send", () => {
  it("sends JSON and reads JSON", async () => {
    const fetched = answer(200, '{"a":1}');
    expect(await send("/api/x", { method: "POST", body: { b: 2 } })).toEqual({ a: 1 });
    const [path, init] = fetched.mock.calls[0] ?? [];
    expect(path).toBe("/api/x");
    expect(init).toMatchObject({ method: "POST", body: '{"b":2}', credentials: "same-origin" });
    expect(new Headers(init?.headers).get("content-type")).toBe("application/json");
  });

  it("reads an empty answer as nothing", async () => {
    answer(204, "");
    expect(await send("/api/x", { method: "DELETE" })).toBeUndefined();
  });

  it("turns a problem document into an error with its code and field", async () => {
    const problem = { code: "compose_invalid", status: 400, detail: "no image", field: "compose" };
    answer(400, JSON.stringify(problem), "application/problem+json");
    const error = await failure(send("/api/x"));
    expect(error).toMatchObject(problem);
  });

  it("survives an answer that is no problem document", async () => {
    answer(502, "<html>Bad gateway</html>", "text/html");
    expect(await failure(send("/api/x"))).toMatchObject({ code: "unexpected_answer", status: 502 });
  });

  it("refuses a success that is not JSON", async () => {
    answer(200, "<html>Welcome to the hotel's Wi-Fi</html>", "text/html");
    expect(await failure(send("/api/x"))).toMatchObject({ code: "unexpected_answer", status: 200 });
  });

  it("calls a lost network by its name", async () => {
    vi.stubGlobal("fetch", () => Promise.reject(new TypeError("Failed to fetch")));
    expect(await failure(send("/api/x"))).toMatchObject({ code: "network", status: 0 });
  });

  it("lets the caller's own cancelling through as it is", async () => {
    const abort = new AbortController();
    vi.stubGlobal("fetch", (_path: string, init: RequestInit) => {
      return new Promise((_resolve, reject) => {
        init.signal?.addEventListener("abort", () => reject(init.signal?.reason));
      });
    });
    const sending = send("/api/x", { signal: abort.signal });
    abort.abort();
    await expect(sending).rejects.toHaveProperty("name", "AbortError");
  });
});

describe("explain", () => {
  it("chooses by the code, not by the server's prose", () => {
    const error = new ApiError({ code: "invalid_credentials", status: 401, detail: "xyz" });
    expect(explain(error)).toBe("That user name and password don't match.");
  });

  it("falls back to the server's sentence", () => {
    expect(
      explain(new ApiError({ code: "in_use", status: 409, detail: "Fleet A has devices." })),
    ).toBe("Fleet A has devices.");
  });
});
