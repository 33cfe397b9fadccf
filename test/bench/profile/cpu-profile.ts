import { z } from 'zod';

/** What `--cpu-prof` writes, as far as it is used. */
const Profile = z.object({
  nodes: z.array(
    z.object({
      id: z.number(),
      callFrame: z.object({ functionName: z.string(), url: z.string() }),
      children: z.array(z.number()).optional(),
    }),
  ),
  samples: z.array(z.number()),
  timeDeltas: z.array(z.number()),
});

/** A stage of the way, known by the files in which its code lies; `functionName` matches what V8 puts in brackets. */
export interface Stage {
  readonly name: string;
  readonly files?: RegExp;
  readonly functionName?: string;
}

/** What nothing else is. */
const rest = 'the rest of the process';

/**
 * Microseconds of the main thread by stage. A function's own time goes to the nearest caller that a stage names, itself included: an allocation
 * within the decoder is the decoder's. Waiting counts for nothing.
 */
export function microsByStage(json: string, stages: readonly Stage[]): Map<string, number> {
  const { nodes, samples, timeDeltas } = Profile.parse(JSON.parse(json));
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const stageOf = new Map<number, string>();
  const children = new Set(nodes.flatMap((node) => node.children ?? []));
  const open = nodes.filter(({ id }) => !children.has(id)).map((node) => ({ node, inherited: rest }));
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { functionName, url } = next.node.callFrame;
    const own = stages.find(
      (stage) => stage.functionName === functionName || stage.files?.test(url) === true,
    );
    const stage = own?.name ?? next.inherited;
    stageOf.set(next.node.id, stage);
    for (const id of next.node.children ?? []) {
      const node = byId.get(id);
      if (node !== undefined) open.push({ node, inherited: stage });
    }
  }
  const micros = new Map<string, number>([...stages.map(({ name }) => [name, 0] as const), [rest, 0]]);
  for (const [i, id] of samples.entries()) {
    if (byId.get(id)?.callFrame.functionName === '(idle)') continue;
    const stage = stageOf.get(id) ?? rest;
    micros.set(stage, (micros.get(stage) ?? 0) + (timeDeltas[i] ?? 0));
  }
  return micros;
}
