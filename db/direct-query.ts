import { Query, type ClientBase, type QueryResult, type QueryResultRow } from 'pg';

type Parameter = Buffer | string | number | bigint | null;

export interface DirectStatement {
  readonly name: string;
  readonly text: string;
  readonly values: readonly unknown[];
}

interface Binding {
  readonly portal?: string | undefined;
  readonly statement?: string | undefined;
}

/** What pg's Query does with its connection, as far as it is taken over here (pg 8.23, lib/query.js and lib/connection.js). */
interface BindingConnection {
  bind: (config: Binding | null) => void;
  readonly stream: { write(bytes: Buffer): unknown };
}

/** Shorter parameters are copied: a write of its own would cost more. */
const copiedBytes = 8_192;

/**
 * Runs a prepared statement whose parameters may be megabytes, which go to the socket as they are. pg's own serializer copies them into a
 * buffer that it makes anew, half as large again, whenever it is full: several times the size of a batch is copied and thrown away, and **memory
 * outside the heap is what makes V8 collect the whole of it**.
 */
export async function queryDirectly<Row extends QueryResultRow>(
  client: ClientBase,
  { name, text, values }: DirectStatement,
): Promise<QueryResult<Row>> {
  const parameters = values.map(parameterOf);
  return await new Promise((resolve, reject) => {
    const query = new Query<Row>({ name, text, values: [...parameters] }, (error, result) => {
      if (error) reject(error);
      else resolve(result);
    });
    const submit = query.submit.bind(query);
    query.submit = (connection) => {
      if (!isBinding(connection)) throw new TypeError('this is not the pg that was expected');
      connection.bind = (config) => writeBind(connection.stream, config ?? {}, parameters);
      try {
        return submit(connection);
      } finally {
        // Its own is its prototype's.
        Reflect.deleteProperty(connection, 'bind');
      }
    };
    client.query(query);
  });
}

function isBinding(connection: object): connection is BindingConnection {
  return 'bind' in connection && 'stream' in connection;
}

function parameterOf(value: unknown): Parameter {
  if (Buffer.isBuffer(value) || typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'bigint') return value;
  if (value === null || value === undefined) return null;
  throw new TypeError(`no parameter: ${typeof value}`);
}

/**
 * Bind: portal, statement, formats of the parameters, the parameters, format of the results (PostgreSQL manual, "Message Formats"). As pg
 * sends them, buffers are binary and everything else is text.
 */
function writeBind(
  stream: BindingConnection['stream'],
  { portal = '', statement = '' }: Binding,
  values: readonly Parameter[],
): void {
  const parameters = values.map((value) =>
    value === null || Buffer.isBuffer(value) ? value : Buffer.from(String(value)),
  );
  const names = Buffer.from(`${portal}\u0000${statement}\u0000`);
  const isCopied = (bytes: Buffer) => bytes.length <= copiedBytes;
  let total = 4 + names.length + 2 + 2 * parameters.length + 2 + 4 * parameters.length + 4;
  let direct = 0;
  for (const bytes of parameters) {
    total += bytes?.length ?? 0;
    if (bytes !== null && !isCopied(bytes)) direct += bytes.length;
  }
  const message = Buffer.allocUnsafe(1 + total - direct);
  let sent = 0;
  let at = message.write('B', 0, 'latin1');
  at = message.writeInt32BE(total, at);
  at += names.copy(message, at);
  at = message.writeInt16BE(parameters.length, at);
  for (const value of values) at = message.writeInt16BE(Buffer.isBuffer(value) ? 1 : 0, at);
  at = message.writeInt16BE(parameters.length, at);
  for (const bytes of parameters) {
    at = message.writeInt32BE(bytes?.length ?? -1, at);
    if (bytes === null) continue;
    if (isCopied(bytes)) {
      at += bytes.copy(message, at);
      continue;
    }
    stream.write(message.subarray(sent, at));
    stream.write(bytes);
    sent = at;
  }
  at = message.writeInt16BE(1, at);
  at = message.writeInt16BE(0, at);
  stream.write(message.subarray(sent, at));
}
