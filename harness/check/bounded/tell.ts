/** A schedule told step by step, for a person. */
import { Field, formatWord, Opcode, Status, type VerbBatch, word } from '../../../fusee/verbs/index.js';
import { actorOf, ChoiceKind, kindOf, parseChoices, verbOf } from './choice.js';
import type { Lane } from './lane.js';
import { type Listener, Run } from './run.js';
import type { BoundedWorld } from './world.js';

const OPCODES = ['READ', 'WRITE', 'CAS', 'FAA', 'RPC'];

/** Replays a schedule on a fresh world; a line for each thing that happened, and at last what was wrong. */
export function tellSchedule(world: BoundedWorld, schedule: string): string[] {
  const lines: string[] = [];
  const teller = new Teller(world, lines);
  const run = new Run(world, teller);
  let wrong = run.wrongAtStart;
  for (const choice of parseChoices(schedule)) {
    if (wrong !== undefined) break;
    teller.choice = choice;
    teller.announce(run);
    wrong = run.apply(choice);
  }
  lines.push(wrong ?? (run.isOver ? 'nothing is wrong' : 'the schedule ends here, before the actors have'));
  return lines;
}

/**
 * Runs a schedule once more.
 * @param schedule as a {@link Failure} has it.
 * @returns what was wrong, if anything.
 * @throws UsageError when the schedule asks for what cannot happen in this world.
 */
export function replay(makeWorld: () => BoundedWorld, schedule: string): string | undefined {
  const run = new Run(makeWorld());
  let wrong = run.wrongAtStart;
  for (const choice of parseChoices(schedule)) wrong ??= run.apply(choice);
  return wrong;
}

class Teller implements Listener {
  choice = 0;
  readonly #world: BoundedWorld;
  readonly #lines: string[];

  constructor(world: BoundedWorld, lines: string[]) {
    this.#world = world;
    this.#lines = lines;
  }

  /** What the choice is, where no verb tells. */
  announce(run: Run): void {
    const name = run.lanes[actorOf(this.choice)]?.actor.name;
    const kind = kindOf(this.choice);
    if (kind === ChoiceKind.DELAY)
      this.#lines.push(`${name}: its verbs to MN ${verbOf(this.choice)} are late`);
    if (kind === ChoiceKind.CRASH) this.#lines.push(`${name} DIES`);
    if (kind === ChoiceKind.RUN && run.lanes[actorOf(this.choice)]?.batch?.count === 0)
      this.#lines.push(`${name} waits`);
  }

  executed(lane: Lane, i: number, toBytes: number): void {
    const batch = lane.batch as VerbBatch;
    const isPart = batch.opcode(i) <= Opcode.WRITE && toBytes < batch.field(i, Field.LENGTH);
    const part = isPart ? ` the first ${toBytes} bytes of` : lane.progressBytes[i] > 0 ? ' the rest of' : '';
    this.#lines.push(`${lane.actor.name}: ${OPCODES[batch.opcode(i)]}${part} ${this.#verb(batch, i)}`);
  }

  resumed(lane: Lane): void {
    const told = lane.actor.told?.();
    if (told !== undefined && told !== '') this.#lines.push(`${lane.actor.name} ${told}`);
  }

  #verb(batch: VerbBatch, i: number): string {
    const mn = batch.mn(i);
    const remote = batch.remote(i);
    const failed = batch.status(i) === Status.FAIL ? ', FAILS' : '';
    const place = this.#world.describe?.(mn, remote) ?? `offset ${remote}`;
    const lengthBytes = batch.field(i, Field.LENGTH);
    const found = formatWord(batch.found(i, word()));
    switch (batch.opcode(i)) {
      case Opcode.RPC:
        return `to MN ${mn}${this.#fate()}${failed}`;
      case Opcode.CAS: {
        const expected = word(batch.field(i, Field.EXPECT_HI), batch.field(i, Field.EXPECT_LO));
        const swap = word(batch.field(i, Field.SWAP_HI), batch.field(i, Field.SWAP_LO));
        const end = batch.swapped(i) ? 'done' : `LOST, found ${found}`;
        return `MN ${mn} ${place}, ${formatWord(expected)} -> ${formatWord(swap)}: ${end}${failed}`;
      }
      case Opcode.FAA: {
        const addend = word(batch.field(i, Field.EXPECT_HI), batch.field(i, Field.EXPECT_LO));
        return `MN ${mn} ${place}, ${found} + ${formatWord(addend)}${failed}`;
      }
      default:
        return `MN ${mn} ${place}, ${lengthBytes} bytes${lengthBytes === 8 ? `: ${wordOf(batch, i)}` : ''}${failed}`;
    }
  }

  #fate(): string {
    switch (kindOf(this.choice)) {
      case ChoiceKind.LOSE_REQUEST:
        return ', the request is lost';
      case ChoiceKind.LOSE_ANSWER:
        return ', the answer is lost';
      case ChoiceKind.DUPLICATE:
        return ', and will arrive once more';
      case ChoiceKind.LATE:
        return ', arrives later';
      default:
        return '';
    }
  }
}

/** The 8 bytes that a READ or WRITE has moved. */
function wordOf(batch: VerbBatch, i: number): string {
  const { bytes } = batch.local;
  const at = batch.field(i, Field.LOCAL);
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, 8);
  return formatWord(word(view.getUint32(4, true), view.getUint32(0, true)));
}
