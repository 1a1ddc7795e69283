/** What figures use of packages that bring no types. */

declare module 'fontkit' {
  /** A font file. */
  export interface Font {
    readonly unitsPerEm: number;
    layout(text: string): { readonly advanceWidth: number };
  }
  /** Reads a font file. */
  export function openSync(path: string): Font;
}

declare module 'pdfkit' {
  /** A PDF being written; its bytes come out of the stream. */
  export default class PDFDocument {
    constructor(options: {
      size: [number, number];
      margin: number;
      info: Record<string, string | Date>;
    });
    on(event: 'data', listener: (chunk: Buffer) => void): this;
    on(event: 'end', listener: () => void): this;
    on(event: 'error', listener: (error: Error) => void): this;
    end(): void;
  }
}

declare module 'svg-to-pdfkit' {
  import type PDFDocument from 'pdfkit';
  /** Draws an SVG on a page. */
  export default function SVGtoPDF(
    document: PDFDocument,
    svg: string,
    x: number,
    y: number,
    options: {
      readonly width: number;
      readonly height: number;
      readonly fontCallback: (family: string, bold: boolean, italic: boolean) => string;
      readonly warningCallback: (warning: string) => void;
    },
  ): void;
}
