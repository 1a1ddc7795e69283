/**
 * The reference page of all that is stored, made from the schemas: `SCHEMA.md`, which a test holds to them.
 */
import * as z from 'zod';
import { provenanceSchema } from './provenance.js';
import {
  attemptSchema,
  resultRowSchema,
  runEventSchema,
  SCHEMA_VERSION,
  seriesPointSchema,
} from './schema.js';
import { RunFile } from './store.js';

/** What of JSON Schema our schemas come to. */
export interface JsonSchema {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly const?: unknown;
  readonly enum?: readonly string[];
  readonly anyOf?: readonly JsonSchema[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly propertyNames?: JsonSchema;
  readonly additionalProperties?: JsonSchema | boolean;
  readonly items?: JsonSchema;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly format?: string;
}

/** A schema as JSON Schema says it, of what is read rather than of what may be written. */
export const jsonSchemaOf = (schema: z.ZodType): JsonSchema =>
  z.toJSONSchema(schema, { io: 'output' }) as JsonSchema;

const FILES: readonly { readonly file: string; readonly what: string; readonly schema: z.ZodType }[] = [
  { file: RunFile.ROWS, what: 'One line for each cell and repetition.', schema: resultRowSchema },
  { file: RunFile.SERIES, what: 'Throughput over time.', schema: seriesPointSchema },
  { file: RunFile.EVENTS, what: 'What happened during the run.', schema: runEventSchema },
  { file: RunFile.ATTEMPTS, what: 'What became of every cell that was to run.', schema: attemptSchema },
  { file: RunFile.PROVENANCE, what: 'Where the results come from; no lines.', schema: provenanceSchema },
];

/** The page, as Markdown. */
export const schemaReference = (): string =>
  [
    '# What a run stores',
    '',
    `Schema version ${SCHEMA_VERSION}. Generated from the schemas by \`fusee results schema\`; ` +
      'a test holds this page to them. `null` means that something was not checked or does not apply, never ' +
      '0. Names end with their unit: `Ns` nanoseconds, `Ms` milliseconds, `Ops` operations per second.',
    '',
    'A run is the folder `<root>/<experiment>/<id>/`; it ends in `.partial`, `.interrupted` or `.failed` ' +
      'unless it has finished. Lines are sealed: their last field, `check`, holds the first 8 hexadecimal ' +
      'digits of the MD5 of the line as it was without it. Latencies are in `latency/<cellKey>.hlog` (until ' +
      'version 2: `latency.hlog`), as HdrHistogram interval logs, tagged `[label/]workload/operation`, with ' +
      '`-response` behind the operation for response times. The comment ahead of an interval has its exact ' +
      'extremes and a `check` over comment and interval (none in logs whose header does not say so).',
    '',
    ...FILES.flatMap(({ file, what, schema }) => [
      `## ${file}`,
      '',
      what,
      '',
      '| field | type | meaning |',
      '|---|---|---|',
      ...fieldsOf(jsonSchemaOf(schema), '').map((cells) => `| ${cells.join(' | ')} |`),
      '',
    ]),
  ].join('\n');

/** A line for each field, and for each field within it. */
const fieldsOf = ({ properties = {} }: JsonSchema, prefix: string): string[][] =>
  Object.entries(properties).flatMap(([field, schema]) => {
    const path = `${prefix}${field}`;
    const { inner, description } = withoutNull(schema);
    return [[`\`${path}\``, typeName(schema), description], ...within(inner, path)];
  });

const within = (schema: JsonSchema, path: string): string[][] => {
  if (schema.properties !== undefined) return fieldsOf(schema, `${path}.`);
  const { additionalProperties, items, propertyNames } = schema;
  if (items !== undefined) return within(items, `${path}[]`);
  if (typeof additionalProperties !== 'object') return [];
  return within(
    additionalProperties,
    `${path}.<${propertyNames?.enum === undefined ? 'name' : 'operation'}>`,
  );
};

/** What a schema is when it is not null. */
export const unlessNull = (schema: JsonSchema): JsonSchema => {
  const { type, anyOf } = schema;
  if (anyOf !== undefined) return anyOf.find((one) => one.type !== 'null') ?? schema;
  return Array.isArray(type) ? { ...schema, type: type.find((one) => one !== 'null') } : schema;
};

/** The same, and what is said about it. */
const withoutNull = (schema: JsonSchema): { inner: JsonSchema; description: string } => {
  const inner = unlessNull(schema);
  return { inner, description: schema.description ?? inner.description ?? '' };
};

const typeName = (schema: JsonSchema): string => {
  if (schema.anyOf !== undefined) return schema.anyOf.map(typeName).join(' or ');
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum !== undefined) return schema.enum.join(', ');
  if (schema.items !== undefined) return `list of ${typeName(schema.items)}`;
  if (schema.type === 'object') {
    if (schema.properties !== undefined) return 'object';
    const keys = schema.propertyNames?.enum?.join(', ');
    const { additionalProperties: values } = schema;
    const of = typeof values === 'object' && values.type !== undefined ? typeName(values) : 'anything';
    return keys === undefined ? `${of} by name` : `${of} by ${keys}`;
  }
  if (schema.format !== undefined) return schema.format;
  return [schema.type ?? 'anything'].flat().join(' or ');
};
