/** A failure of a request, with the stable code that programs branch on. */
export class ApiError extends Error {
  readonly code: string;
  /** HTTP status; 0 when no answer arrived. */
  readonly status: number;
  /** What happened, to what, and what to do; written for people. */
  readonly detail: string;
  /** Path of the offending field, where there is one. */
  readonly field: string | null;

  constructor(problem: { code: string; status: number; detail: string; field?: string | null }) {
    super(`${problem.code}: ${problem.detail}`);
    this.name = "ApiError";
    this.code = problem.code;
    this.status = problem.status;
    this.detail = problem.detail;
    this.field = problem.field ?? null;
  }
}

/** Reads an RFC 9457 problem document; an answer that is none still gives a usable error. */
export function fromProblem(status: number, body: unknown): ApiError {
  const problem = (typeof body === "object" && body !== null ? body : {}) as Record<
    string,
    unknown
  >;
  const text = (key: string) => (typeof problem[key] === "string" ? (problem[key] as string) : "");
  return new ApiError({
    code: text("code") || "unexpected_answer",
    status,
    detail: text("detail") || text("title") || `The server answered with status ${status}.`,
    field: text("field") || null,
  });
}

export function toApiError(reason: unknown): ApiError {
  if (reason instanceof ApiError) return reason;
  return new ApiError({
    code: "console_error",
    status: 0,
    detail: reason instanceof Error ? reason.message : String(reason),
  });
}
