/** What the weak CPU of every MN under test answers. */

/**
 * The requests that every MN of the suite answers: the first byte says what, bytes 4 to 7 an offset. HOLD
 * keeps the MN busy until somebody sets the byte there.
 */
export const Request = { REVERSE: 0, COUNT: 1, COUNTED: 2, SLOW: 3, PEEK: 4, HOLD: 5 } as const;

/** The service of one MN under test; `peek` reads its memory as its own CPU sees it. */
export function serveConformance(peek: (offset: number, lengthBytes: number) => Uint8Array) {
  let counted = 0;
  return (request: Uint8Array): Uint8Array => {
    switch (request[0]) {
      case Request.COUNT:
        counted++;
        return request;
      case Request.COUNTED:
        return new Uint8Array(new Uint32Array([counted]).buffer);
      case Request.SLOW: {
        const end = performance.now() + request[1] * 10;
        while (performance.now() < end);
        return request;
      }
      case Request.PEEK:
        return peek(offsetIn(request), 8).slice();
      case Request.HOLD: {
        const end = performance.now() + 20_000;
        while (peek(offsetIn(request), 1)[0] === 0 && performance.now() < end);
        return request;
      }
      default:
        return request.slice().reverse();
    }
  };
}

const offsetIn = (request: Uint8Array): number =>
  new DataView(request.buffer, request.byteOffset).getUint32(4, true);
