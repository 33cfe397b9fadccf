import { PassThrough, pipeline, type Readable } from 'node:stream';
import type { PipelineError } from '../errors.ts';

/** The same bytes; a failure on the way is an error of the catalogue. Destroying it destroys the source. */
export function classifiedStream(source: Readable, classify: (error: unknown) => PipelineError): Readable {
  const passed = new PassThrough({
    destroy(error, callback) {
      callback(error === null ? null : classify(error));
    },
  });
  // Its error reaches the reader through `passed`, which the pipeline destroys.
  pipeline(source, passed, () => {});
  return passed;
}
