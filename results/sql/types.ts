/** SQL types of what is stored, from the schemas that check it: so no column falls behind its field. */
import type * as z from 'zod';
import { type JsonSchema, jsonSchemaOf, unlessNull } from '../reference.js';

/** A type as `json_transform` takes it: a name, a list of one type, or a struct of fields. */
export type SqlShape = string | readonly [SqlShape] | { readonly [field: string]: SqlShape };

/** The columns of a schema's objects. Objects with fields become structs; those by name become maps. */
export const columnsOf = (schema: z.ZodType): { readonly [field: string]: SqlShape } =>
  fieldsOf(jsonSchemaOf(schema));

const fieldsOf = ({ properties = {} }: JsonSchema): { [field: string]: SqlShape } =>
  Object.fromEntries(Object.entries(properties).map(([field, schema]) => [field, shapeOf(schema)]));

const shapeOf = (schema: JsonSchema): SqlShape => {
  const inner = unlessNull(schema);
  if (typeof inner.const === 'number') return 'BIGINT';
  switch (inner.type) {
    case 'integer':
      return 'BIGINT';
    case 'number':
      return 'DOUBLE';
    case 'boolean':
      return 'BOOLEAN';
    case 'string':
      return 'VARCHAR';
    case 'array':
      return inner.items === undefined ? 'JSON' : [shapeOf(inner.items)];
    case 'object':
      return objectShape(inner);
    default:
      return 'JSON';
  }
};

const objectShape = (schema: JsonSchema): SqlShape => {
  if (schema.properties !== undefined) return fieldsOf(schema);
  const { additionalProperties: values, propertyNames } = schema;
  if (typeof values !== 'object') return 'JSON';
  const value = shapeOf(values);
  // Operations are known: `latencyNs.search.p99` is a path.
  if (propertyNames?.enum !== undefined) {
    return Object.fromEntries(propertyNames.enum.map((name) => [name, value]));
  }
  return typeof value === 'string' && value !== 'JSON' ? `MAP(VARCHAR, ${value})` : 'JSON';
};
