/**
 * What the generator may get wrong: every place in a file where an operator applies.
 *
 * Left out, because a change there shows in nothing or in everything: types, texts, `as const` tables, sizes
 * of buffers, and what only checks (`require...`, `assertLayout`, `throw`).
 */
import ts from 'typescript';
import type { Edit } from './mutant.js';

/** Names of the operators, as a mutant is listed. */
export const OPERATORS = [
  'comparison',
  'dropped verb',
  'merged batch',
  'operand',
  'status check',
  'stale operand',
  'verb order',
  'negation',
  'result',
  'constant',
  'logic',
  'jump',
] as const;
export type Operator = (typeof OPERATORS)[number];

/** One change that one operator can make. */
export interface Site {
  readonly operator: Operator;
  /** One edit; two for an exchange of two statements. */
  readonly edits: readonly Edit[];
}

/** Keys of the product's tables of results, by the table's name. */
export type ResultTables = ReadonlyMap<string, readonly string[]>;

/** Tables whose values are results of requests and of their parts. */
const RESULT_TABLES = ['Claim', 'Outcome', 'Verdict', 'Located', 'Hint', 'ObjectIs'];
const VERBS = new Set(['cas', 'read', 'read8', 'write', 'faa', 'rpc']);
/** Calls whose effect is what a later step works on. */
const SETTERS = new Set(['copyWord', 'found', 'candidateWord', 'stageOldValue', 'learn', 'forget', 'digest']);
const OPERANDS: ReadonlyMap<string, string> = new Map([
  ['vOld', 'vNew'],
  ['vNew', 'vOld'],
  ['buckets', 'backupBuckets'],
  ['backupBuckets', 'buckets'],
  ['lost', 'vOld'],
  ['onBackup', 'onPrimary'],
  ['onPrimary', 'onBackup'],
  ['freeFirst', 'freeSecond'],
  ['freeSecond', 'freeFirst'],
  ['first', 'second'],
  ['second', 'first'],
  ['keyBytes', 'valueBytes'],
  ['valueBytes', 'keyBytes'],
  ['tentative', 'tomb'],
]);
/** Arrays whose index is a replica or one of the two buckets, and calls whose last or first number is. */
const INDEXED = new Set(['mn', 'offsetBytes', 'combined', 'bucketOffsets', 'mainLast']);
const REPLICA_CALLS = new Set(['appendBuckets', 'slotMn', 'dataMn', 'dataOffset']);

const FLIPS: ReadonlyMap<ts.SyntaxKind, string> = new Map([
  [ts.SyntaxKind.LessThanToken, '<='],
  [ts.SyntaxKind.LessThanEqualsToken, '<'],
  [ts.SyntaxKind.GreaterThanToken, '>='],
  [ts.SyntaxKind.GreaterThanEqualsToken, '>'],
  [ts.SyntaxKind.EqualsEqualsEqualsToken, '!=='],
  [ts.SyntaxKind.ExclamationEqualsEqualsToken, '==='],
]);
const LOGIC: ReadonlyMap<ts.SyntaxKind, string> = new Map([
  [ts.SyntaxKind.AmpersandAmpersandToken, '||'],
  [ts.SyntaxKind.BarBarToken, '&&'],
]);

/** Reads the tables of results out of sources. */
export function resultTables(texts: Iterable<string>): ResultTables {
  const tables = new Map<string, string[]>();
  for (const text of texts) {
    for (const name of RESULT_TABLES) {
      const body = new RegExp(`export const ${name} = \\{([^}]*)\\} as const`).exec(text)?.[1];
      if (body !== undefined)
        tables.set(
          name,
          [...body.matchAll(/(\w+): \d/g)].map((match) => match[1]),
        );
    }
  }
  return tables;
}

/** All sites of a file, in the order of the text. */
export function sitesOf(text: string, tables: ResultTables): Site[] {
  const source = ts.createSourceFile('mutated.ts', text, ts.ScriptTarget.ES2023, true);
  const sites: Site[] = [];
  const visit = (node: ts.Node): void => {
    if (isLeftOut(node)) return;
    for (const [operator, ...edits] of changesOf(node, tables)) sites.push({ operator, edits });
    ts.forEachChild(node, visit);
  };
  visit(source);
  return sites;
}

type Change = readonly [operator: Operator, ...edits: Edit[]];

function changesOf(node: ts.Node, tables: ResultTables): Change[] {
  if (ts.isBinaryExpression(node)) return binaryChanges(node);
  if (ts.isExpressionStatement(node)) return statementChanges(node);
  if (ts.isIdentifier(node)) return operandChanges(node);
  if (ts.isNumericLiteral(node)) return numberChanges(node);
  if (ts.isPropertyAccessExpression(node)) return resultChanges(node, tables);
  if (ts.isBlock(node) || ts.isSourceFile(node)) return orderChanges(node);
  if (ts.isContinueStatement(node) || ts.isBreakStatement(node)) return jumpChanges(node);
  if (ts.isIfStatement(node) || ts.isDoStatement(node) || ts.isWhileStatement(node))
    return conditionChanges(node.expression);
  if (ts.isConditionalExpression(node)) return conditionChanges(node.condition);
  if (node.kind === ts.SyntaxKind.TrueKeyword) return [['result', replace(node, 'false')]];
  if (node.kind === ts.SyntaxKind.FalseKeyword) return [['result', replace(node, 'true')]];
  return [];
}

const replace = (node: ts.Node, text: string): Edit => ({ start: node.getStart(), end: node.getEnd(), text });

function isLeftOut(node: ts.Node): boolean {
  if (ts.isTypeNode(node) || ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node)) return true;
  if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node) || ts.isThrowStatement(node)) return true;
  if (ts.isStringLiteral(node) || ts.isTemplateExpression(node)) return true;
  if (ts.isPropertyDeclaration(node) || ts.isNewExpression(node) || ts.isConstructorDeclaration(node))
    return true;
  if (ts.isAsExpression(node) && ts.isConstTypeReference(node.type)) return true;
  if (ts.isCallExpression(node)) return /^(assertLayout|reserve|require\w+)$/.test(calledName(node) ?? '');
  if (ts.isFunctionDeclaration(node)) return /^(require|countTorn)/.test(node.name?.text ?? '');
  if (ts.isVariableDeclaration(node) && ts.isSourceFile(node.parent.parent.parent))
    return /(LIMIT|BYTES|VERBS|MEMORY|CACHE)$/.test(node.name.getText());
  return false;
}

function calledName(node: ts.Node): string | undefined {
  if (!ts.isCallExpression(node)) return undefined;
  const { expression } = node;
  if (ts.isIdentifier(expression)) return expression.text;
  return ts.isPropertyAccessExpression(expression) ? expression.name.text.replace('#', '') : undefined;
}

function binaryChanges({ operatorToken }: ts.BinaryExpression): Change[] {
  const flip = FLIPS.get(operatorToken.kind);
  if (flip !== undefined) return [['comparison', replace(operatorToken, flip)]];
  const logic = LOGIC.get(operatorToken.kind);
  return logic === undefined ? [] : [['logic', replace(operatorToken, logic)]];
}

/** True for a call that puts verbs into a batch. */
function appends(node: ts.Expression): boolean {
  const name = calledName(node);
  return name !== undefined && (VERBS.has(name) || /^append/.test(name));
}

function statementChanges(node: ts.ExpressionStatement): Change[] {
  const { expression } = node;
  if (appends(expression)) {
    const reset = /^[\w.]+\.reset\(\)/.exec(expression.getText())?.[0];
    return [['dropped verb', replace(node, `${reset ?? 'void 0'};`)]];
  }
  if (ts.isYieldExpression(expression) && expression.asteriskToken === undefined && expression.expression) {
    const what = expression.expression.getText();
    return /batch|^b$|^append/i.test(what) ? [['merged batch', replace(node, `void ${what};`)]] : [];
  }
  const name = calledName(expression);
  const isSet =
    ts.isBinaryExpression(expression) &&
    expression.operatorToken.kind === ts.SyntaxKind.EqualsToken &&
    ts.isPropertyAccessExpression(expression.left);
  if (isSet || (name !== undefined && SETTERS.has(name)))
    return [['stale operand', replace(node, 'void 0;')]];
  return [];
}

function operandChanges(node: ts.Identifier): Change[] {
  const other = OPERANDS.get(node.text);
  const { parent } = node;
  if (other === undefined || isDeclared(node)) return [];
  const isOfWrite = /\b(w|write|cx|claimant)$/.test(
    ts.isPropertyAccessExpression(parent) ? parent.expression.getText() : '',
  );
  const isLoose = !ts.isPropertyAccessExpression(parent) || parent.expression === node;
  // A free name's counterpart must be in scope: look for it in the function around.
  if (!isOfWrite && !(isLoose && inScope(node, other))) return [];
  return [['operand', replace(node, other)]];
}

function isDeclared(node: ts.Identifier): boolean {
  const { parent } = node;
  if (ts.isBindingElement(parent) || ts.isParameter(parent) || ts.isPropertyAssignment(parent)) return true;
  if (ts.isShorthandPropertyAssignment(parent)) return true;
  return ts.isVariableDeclaration(parent) && parent.name === node;
}

function inScope(node: ts.Node, name: string): boolean {
  let scope: ts.Node = node;
  while (!ts.isSourceFile(scope.parent) && !ts.isFunctionLike(scope)) scope = scope.parent;
  const before = scope.getText().slice(0, node.getStart() - scope.getStart());
  return new RegExp(`\\b(const|let|,|\\{|\\()[^;=]*\\b${name}\\b`).test(before);
}

function numberChanges(node: ts.NumericLiteral): Change[] {
  const { parent } = node;
  const value = Number(node.text);
  if (ts.isElementAccessExpression(parent) && parent.argumentExpression === node) {
    const array = parent.expression.getText().split('.').at(-1) ?? '';
    return value <= 1 && INDEXED.has(array) ? [['operand', replace(node, String(1 - value))]] : [];
  }
  if (ts.isCallExpression(parent) && REPLICA_CALLS.has(calledName(parent) ?? ''))
    return value <= 1 ? [['operand', replace(node, String(1 - value))]] : [];
  const up: Change = ['constant', replace(node, String(value + 1))];
  return value === 0 ? [up] : [up, ['constant', replace(node, String(value - 1))]];
}

function resultChanges(node: ts.PropertyAccessExpression, tables: ResultTables): Change[] {
  const keys = tables.get(node.expression.getText());
  if (keys === undefined || isCompared(node)) return [];
  const key = keys[(keys.indexOf(node.name.text) + 1) % keys.length];
  return [['result', replace(node.name, key)]];
}

function isCompared(node: ts.Node): boolean {
  const { parent } = node;
  return ts.isBinaryExpression(parent) && FLIPS.has(parent.operatorToken.kind);
}

/** Two neighbours that both append verbs to the batch. */
function orderChanges({ statements }: ts.Block | ts.SourceFile): Change[] {
  return statements.slice(1).flatMap((second, i): Change[] => {
    const first = statements[i];
    if (!appendsOnly(first) || !appendsOnly(second)) return [];
    return [['verb order', replace(first, second.getText()), replace(second, first.getText())]];
  });
}

function appendsOnly(node: ts.Statement): boolean {
  if (ts.isForStatement(node)) return appendsOnly(node.statement);
  if (ts.isIfStatement(node)) return node.elseStatement === undefined && appendsOnly(node.thenStatement);
  if (ts.isBlock(node)) return node.statements.length === 1 && appendsOnly(node.statements[0]);
  return ts.isExpressionStatement(node) && appends(node.expression) && !node.getText().includes('reset()');
}

function jumpChanges(node: ts.ContinueStatement | ts.BreakStatement): Change[] {
  if (node.label !== undefined) return [];
  return [['jump', replace(node, ts.isContinueStatement(node) ? 'break;' : 'continue;')]];
}

function conditionChanges(condition: ts.Expression): Change[] {
  const text = condition.getText();
  if (/anyFailed\(\)|\.status\(/.test(text)) return [['status check', replace(condition, 'false')]];
  if (ts.isBinaryExpression(condition) && /^[!=]==$/.test(condition.operatorToken.getText())) return [];
  return [['negation', replace(condition, `!(${text})`)]];
}
