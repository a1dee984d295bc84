/** @file The order of the files of tests: the longest first, or they would run alone at the end. */
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Those that take more than a minute in the slow stage, the longest first. */
const LONGEST = [
  'test/alarms',
  'test/judge/kill-storm',
  'test/browser/attacks',
  'test/storm',
  'test/cli',
  'test/webgpu',
  'test/flow',
  'test/browser/pages',
]

const placeOf = ({ moduleId }: TestSpecification): number => {
  const place = LONGEST.findIndex((name) => moduleId.endsWith(`/${name}.test.ts`))
  return place < 0 ? LONGEST.length : place
}

export class SlowFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return (await super.sort(files)).toSorted((a, b) => placeOf(a) - placeOf(b))
  }
}
