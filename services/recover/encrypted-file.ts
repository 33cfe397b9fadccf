import { randomBytes } from 'node:crypto';
import { access, link, open, unlink, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { Encrypter } from 'age-encryption';
import { PipelineError } from '../../shared/errors.ts';

/** Only its owner may read even the encrypted file. */
const fileMode = 0o600;

/**
 * A file that only the holders of given keys can read: age (age-encryption.org/v1), as `age -d` opens it. **No plaintext reaches the
 * disk, and there is no file under its name before it is whole**: until {@link finish} it lies, encrypted, under a temporary name,
 * which disposal removes.
 */
export class EncryptedFile implements AsyncDisposable {
  readonly #path: string;
  readonly #temporary: string;
  readonly #plain: WritableStreamDefaultWriter<Uint8Array>;
  readonly #written: Promise<void>;
  #open: FileHandle | undefined;
  #failure: unknown;

  private constructor(parts: {
    path: string;
    temporary: string;
    file: FileHandle;
    plain: WritableStream<Uint8Array>;
    encrypted: AsyncIterable<Uint8Array>;
  }) {
    this.#path = parts.path;
    this.#temporary = parts.temporary;
    this.#open = parts.file;
    this.#plain = parts.plain.getWriter();
    this.#plain.closed.catch(() => undefined);
    this.#written = copy(parts.encrypted, parts.file);
    this.#written.catch((error: unknown) => {
      this.#failure = error;
    });
  }

  /** @throws PipelineError USAGE for recipients that are none and for a file that exists, OUTPUT_FAILED when it cannot be made */
  static async create(path: string, recipients: readonly string[]): Promise<EncryptedFile> {
    const encrypter = encrypterFor(recipients);
    const exists = await access(path).then(
      () => true,
      () => false,
    );
    if (exists) throw new PipelineError('USAGE', '--output exists already, and is not replaced');
    const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.part`);
    const file = await open(temporary, 'wx', fileMode).catch(failed);
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const encrypted = await encrypter.encrypt(readable);
    return new EncryptedFile({ path, temporary, file, plain: writable, encrypted });
  }

  /** Resolves when more may be written. @throws PipelineError OUTPUT_FAILED, as does finish */
  async write(text: string): Promise<void> {
    await this.#orFailed(this.#plain.write(Buffer.from(text, 'utf8')));
  }

  /** Ends the file and gives it its name; durable when it resolves. Never replaces a file that was made meanwhile. */
  async finish(): Promise<void> {
    await this.#orFailed(this.#plain.close());
    await this.#written.catch(failed);
    try {
      await this.#open?.sync();
      await link(this.#temporary, this.#path);
    } catch (error) {
      failed(error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const file = this.#open;
    if (file === undefined) return;
    this.#open = undefined;
    // After finish this changes nothing; otherwise it ends the copy.
    await this.#plain.abort().catch(() => undefined);
    await this.#written.catch(() => undefined);
    await file.close();
    await unlink(this.#temporary);
  }

  /** A disk that is full ends the copy, and then nothing takes from the writer any more. */
  async #orFailed(step: Promise<void>): Promise<void> {
    step.catch(() => undefined);
    await Promise.race([step, this.#written.then(() => step)]).catch((error: unknown) =>
      failed(this.#failure ?? error),
    );
  }
}

async function copy(encrypted: AsyncIterable<Uint8Array>, file: FileHandle): Promise<void> {
  for await (const chunk of encrypted) {
    for (let at = 0; at < chunk.length;) at += (await file.write(chunk, at)).bytesWritten;
  }
}

/** @throws PipelineError USAGE; what was given is not repeated, it may be a secret key */
function encrypterFor(recipients: readonly string[]): Encrypter {
  const encrypter = new Encrypter();
  try {
    for (const recipient of recipients) encrypter.addRecipient(recipient.trim());
  } catch {
    throw new PipelineError('USAGE', '--encrypt-for takes an age recipient: age1…');
  }
  return encrypter;
}

function failed(error: unknown): never {
  if (error instanceof PipelineError) throw error;
  const code = error instanceof Error && 'code' in error ? String(error.code) : undefined;
  throw new PipelineError('OUTPUT_FAILED', code === undefined ? '--output' : `--output: ${code}`);
}
