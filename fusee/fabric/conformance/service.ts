/** What the weak CPU of every MN under test answers. */

/** The requests that every MN of the suite answers: the first byte says what. */
export const Request = { REVERSE: 0, COUNT: 1, COUNTED: 2, SLOW: 3, PEEK: 4 } as const;

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
        return peek(new DataView(request.buffer, request.byteOffset).getUint32(4, true), 8).slice();
      default:
        return request.slice().reverse();
    }
  };
}
