/** What a failing seed tells: its findings, a plan as small as can be that fails alike, and its verbs. */

import type { Finding } from './cluster.js';
import type { SwarmPlan } from './plan.js';
import { formatPlan } from './plan-text.js';
import type { SwarmHooks } from './run.js';
import { describePlan, formatFindings, runPlan, type SeedReport } from './seed.js';
import { type ShrinkOptions, type ShrunkPlan, shrinkPlan } from './shrink.js';
import { Trace } from './trace.js';

/** The command that runs exactly this plan again. */
export const replayCommand = (plan: SwarmPlan): string =>
  `fusee verify --seed ${plan.seed} --plan '${formatPlan(plan)}'`;

/** Shrinks a failing plan, and tells what comes of it. */
export function tellShrunk(
  plan: SwarmPlan,
  report: SeedReport,
  options: ShrinkOptions = {},
): { readonly shrunk: ShrunkPlan; readonly text: string } {
  const shrunk = shrinkPlan(plan, report, options);
  const how = shrunk.isCutShort
    ? 'the clock ended it: another run may come to another plan'
    : 'the same every time';
  const from = `shrunk from ${report.requests} requests to ${shrunk.report.requests}`;
  const head = `${from} in ${shrunk.attempts} runs (${how}):`;
  return { shrunk, text: [head, ...tellPlan(shrunk.plan, shrunk.report, options.hooks)].join('\n') };
}

/** A failing plan told: findings, every verb, and the command that replays it. */
export function tellPlan(plan: SwarmPlan, report: SeedReport, hooks?: SwarmHooks): string[] {
  const trace = new Trace();
  const { digest } = runPlan(plan, { hooks, trace });
  const isAnother =
    digest === report.digest ? [] : [`another run than the one found: its digest is ${digest}`];
  return [
    `  ${describePlan(plan)}`,
    ...formatFindings(report),
    ...isAnother,
    ...trace.format({ key: keyOf(report.findings) }),
    `digest ${report.digest}; replay it with: ${replayCommand(plan)}`,
  ];
}

/** The key that a finding names, if one does. */
function keyOf(findings: readonly Finding[]): number | undefined {
  const match = findings.map(({ message }) => /\bkey (\d+)/.exec(message)).find((found) => found !== null);
  return match === undefined || match === null ? undefined : Number(match[1]);
}
