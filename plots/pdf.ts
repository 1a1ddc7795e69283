/** From an SVG to a PDF: lines and text stay lines and text, with the font inside. */
import PDFDocument from 'pdfkit';
import SVGtoPDF from 'svg-to-pdfkit';
import { FONT_FILES } from './fonts.js';

/** A pixel of an SVG is 1/96 inch, a point of a PDF 1/72. */
const POINTS_PER_PX = 0.75;
/** The file's time: that of its drawing would make every file another. */
const NO_TIME = new Date(0);

/**
 * Draws an SVG as a PDF of one page, byte for byte the same for the same SVG.
 * @throws Error when the SVG has no size, or holds something that a PDF would not show.
 */
export const renderPdf = async (svg: string, title: string): Promise<Uint8Array> => {
  const [width, height] = ['width', 'height'].map((side) => {
    const px = Number(new RegExp(`<svg[^>]* ${side}="([\\d.]+)"`).exec(svg)?.[1]);
    if (!(px > 0)) throw new Error(`an SVG without a ${side} cannot become a PDF`);
    return px * POINTS_PER_PX;
  });
  const document = new PDFDocument({
    size: [width, height],
    margin: 0,
    info: { Title: title, Creator: 'fusee', Producer: 'fusee', CreationDate: NO_TIME, ModDate: NO_TIME },
  });
  const chunks: Buffer[] = [];
  const ended = new Promise<void>((resolve, reject) => {
    document.on('data', (chunk) => chunks.push(chunk));
    document.on('end', resolve);
    document.on('error', reject);
  });
  const warnings: string[] = [];
  SVGtoPDF(document, svg, 0, 0, {
    width,
    height,
    fontCallback: (_, bold) => (bold ? FONT_FILES.bold : FONT_FILES.regular),
    warningCallback: (warning) => warnings.push(warning),
  });
  document.end();
  await ended;
  if (warnings.length > 0) throw new Error(`svg-to-pdfkit: ${[...new Set(warnings)].join('; ')}`);
  return Buffer.concat(chunks);
};
