/** Bytes shown before they are acknowledged: far below the server's 128 KiB for carrying on. */
export const ACK_EVERY_BYTES = 32 * 1024;

/**
 * Counts what the terminal has really drawn and tells the server in steps, so that a flood of
 * output waits on the device instead of growing in this tab.
 */
export class Acknowledger {
  #acknowledge: (bytes: number) => void;
  #owed = 0;

  constructor(acknowledge: (bytes: number) => void) {
    this.#acknowledge = acknowledge;
  }

  drawn(bytes: number): void {
    this.#owed += bytes;
    if (this.#owed < ACK_EVERY_BYTES) return;
    const owed = this.#owed;
    this.#owed = 0;
    this.#acknowledge(owed);
  }
}

/** Bytes of one message of input; a paste is cut into as many as it needs. */
export const INPUT_CHUNK_BYTES = 16 * 1024;
/** Bytes that may wait in the socket before a paste waits here. */
export const INPUT_BUFFER_BYTES = 128 * 1024;
/** Milliseconds between looks at a full socket; it tells of room only when asked. */
const LOOK_AGAIN_MS = 20;

export interface InputSocket {
  readonly bufferedAmount: number;
  send(data: Uint8Array<ArrayBuffer>): void;
}

/** Sends what is typed and pasted in order, no faster than the socket takes it. */
export class InputQueue {
  #socket: InputSocket;
  #waiting: Uint8Array<ArrayBuffer>[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(socket: InputSocket) {
    this.#socket = socket;
  }

  write(data: Uint8Array<ArrayBuffer>): void {
    for (let at = 0; at < data.length; at += INPUT_CHUNK_BYTES) {
      this.#waiting.push(data.subarray(at, at + INPUT_CHUNK_BYTES));
    }
    if (this.#timer === undefined) this.#flush();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#waiting = [];
  }

  #flush = (): void => {
    this.#timer = undefined;
    while (this.#waiting.length > 0) {
      if (this.#socket.bufferedAmount > INPUT_BUFFER_BYTES) {
        this.#timer = setTimeout(this.#flush, LOOK_AGAIN_MS);
        return;
      }
      const chunk = this.#waiting.shift();
      if (chunk) this.#socket.send(chunk);
    }
  };
}
