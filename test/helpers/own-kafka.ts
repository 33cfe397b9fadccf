import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { capture } from '../../services/local-stack/commands.ts';
import { ensureKafkaJars, kafkaJars, sharedCache } from '../../services/local-stack/kafka-jars.ts';
import { kafkaServers, type BrokerSettings } from '../../services/local-stack/kafka.ts';
import { startServer } from '../../services/local-stack/server.ts';
import { makePrivate, saveState, stackPaths } from '../../services/local-stack/stack-state.ts';
import { choosePort, loopback } from '../../services/local-stack/tcp-ports.ts';
import { guardDirectory } from './servers.ts';

/** A broker that wants TLS, on `localhost`, which its certificate is of. */
export interface SecureKafka extends AsyncDisposable {
  /** Without TLS, for the test. */
  readonly plain: string;
  /** TLS, and a certificate of the client. */
  readonly mutual: string;
  /** TLS, and a user with a password: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512. */
  readonly sasl: string;
  /** The same without TLS, SCRAM alone. */
  readonly saslPlain: string;
  readonly user: { readonly name: string; readonly password: string };
  /** PEM files: the authority of broker and client, one that nobody knows, and the client's own. */
  readonly files: {
    readonly ca: string;
    readonly otherCa: string;
    readonly cert: string;
    readonly key: string;
  };
}

const user = { name: 'sluice', password: 'canary-kafka-password' };

export async function openSecureKafka(): Promise<SecureKafka> {
  await using opening = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), 'sluice-kafka-'));
  opening.defer(await guardDirectory(directory));
  const paths = stackPaths(directory);
  for (const path of [paths.logs, paths.kafka]) makePrivate(path);
  await ensureKafkaJars(sharedCache, () => {});
  const files = await makeCertificates(directory);
  const taken = new Set<number>();
  const port = async () => {
    const chosen = await choosePort([], taken);
    taken.add(chosen);
    return chosen;
  };
  const [plain, mutual, sasl, saslPlain] = [await port(), await port(), await port(), await port()];
  const ports = { postgres: plain, sqs: plain, kafka: [plain], controllers: [await port()] };
  saveState(directory, { version: 1, brokers: 1, ports, processes: {} });
  const clients = `PLAINTEXT://${loopback}:${plain},MUTUAL://localhost:${mutual},SECURE://localhost:${sasl},OPEN://localhost:${saslPlain}`;
  const settings: BrokerSettings = {
    listeners: `${clients},CONTROLLER://${loopback}:${ports.controllers[0]}`,
    'advertised.listeners': clients,
    'listener.security.protocol.map':
      'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,MUTUAL:SSL,SECURE:SASL_SSL,OPEN:SASL_PLAINTEXT',
    'ssl.keystore.type': 'PEM',
    'ssl.keystore.location': files.broker,
    'ssl.truststore.type': 'PEM',
    'ssl.truststore.location': files.ca,
    'listener.name.mutual.ssl.client.auth': 'required',
    'listener.name.secure.sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512',
    'listener.name.open.sasl.enabled.mechanisms': 'SCRAM-SHA-256',
    'listener.name.secure.plain.sasl.jaas.config': `org.apache.kafka.common.security.plain.PlainLoginModule required user_${user.name}="${user.password}";`,
  };
  const scram = 'org.apache.kafka.common.security.scram.ScramLoginModule required;';
  const scramSettings = Object.fromEntries(
    ['secure.scram-sha-256', 'secure.scram-sha-512', 'open.scram-sha-256'].map((name) => [
      `listener.name.${name}.sasl.jaas.config`,
      scram,
    ]),
  );
  const jars = kafkaJars(sharedCache);
  const [server] = kafkaServers({ paths, ports, jars, settings: () => ({ ...settings, ...scramSettings }) });
  if (server === undefined) throw new Error('no broker');
  const launched = (identity: { pid: number; started: string }) =>
    saveState(directory, { version: 1, brokers: 1, ports, processes: { [server.name]: identity } });
  await startServer(server, { launched, progress: () => {}, signal: new AbortController().signal });
  const alter = ['kafka.admin.ConfigCommand', '--bootstrap-server', `${loopback}:${plain}`, '--alter'];
  const entity = ['--entity-type', 'users', '--entity-name', user.name];
  const credential = (mechanism: string) => ['--add-config', `${mechanism}=[password=${user.password}]`];
  await Promise.all(
    ['SCRAM-SHA-256', 'SCRAM-SHA-512'].map((mechanism) =>
      run('java', ['-cp', join(jars, '*'), ...alter, ...entity, ...credential(mechanism)]),
    ),
  );
  const owned = opening.move();
  return {
    plain: `${loopback}:${plain}`,
    mutual: `localhost:${mutual}`,
    sasl: `localhost:${sasl}`,
    saslPlain: `localhost:${saslPlain}`,
    user,
    files,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** By the JDK's keytool, which every machine with a broker has. */
async function makeCertificates(directory: string) {
  const at = join(directory, 'tls');
  await mkdir(at, { recursive: true });
  const store = (name: string) => ['-keystore', join(at, `${name}.p12`), '-storepass', 'changeit'];
  const keytool = (...args: string[]) => run('keytool', args);
  const pair = (name: string, ...more: string[]) =>
    keytool(
      '-genkeypair',
      '-alias',
      name,
      '-dname',
      `CN=${name}`,
      '-keyalg',
      'EC',
      '-groupname',
      'secp256r1',
      '-validity',
      '30',
      ...store(name),
      ...more,
    );
  const authority = async (name: string) => {
    await pair(name, '-ext', 'bc:c');
    const file = join(at, `${name}.pem`);
    await keytool('-exportcert', '-rfc', '-alias', name, '-file', file, ...store(name));
    return file;
  };
  const [ca, otherCa] = [await authority('ca'), await authority('other')];
  const signed = async (name: string, ...extensions: string[]) => {
    const [request, cert, key] = ['csr', 'pem', 'key'].map((kind) => join(at, `${name}.${kind}`));
    if (request === undefined || cert === undefined || key === undefined) throw new Error('no names');
    await pair(name);
    await keytool('-certreq', '-alias', name, '-file', request, ...store(name));
    await keytool(
      '-gencert',
      '-rfc',
      '-alias',
      'ca',
      '-infile',
      request,
      '-outfile',
      cert,
      '-validity',
      '30',
      ...store('ca'),
      ...extensions,
    );
    await writeFile(key, await keyOf(at, name), { mode: 0o600 });
    return { cert, key };
  };
  const brokers = await signed('broker', '-ext', 'san=dns:localhost');
  const { cert, key } = await signed('client');
  const broker = join(at, 'broker-store.pem');
  await writeFile(broker, (await readFile(brokers.key, 'utf8')) + (await readFile(brokers.cert, 'utf8')));
  return { ca, otherCa, cert, key, broker };
}

/** The private key of a store, PKCS #8 in PEM: keytool does not let go of it, Java's own class does. */
async function keyOf(at: string, name: string): Promise<string> {
  const program = join(at, 'Key.java');
  await writeFile(
    program,
    `public class Key { public static void main(String[] a) throws Exception {
      var store = java.security.KeyStore.getInstance(new java.io.File(a[0]), "changeit".toCharArray());
      var key = store.getKey(a[1], "changeit".toCharArray()).getEncoded();
      System.out.println("-----BEGIN PRIVATE KEY-----\\n" + java.util.Base64.getMimeEncoder().encodeToString(key) + "\\n-----END PRIVATE KEY-----");
    } }`,
  );
  return run('java', [program, join(at, `${name}.p12`), name]);
}

async function run(command: string, args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await capture(command, [...args]);
  if (code !== 0) throw new Error(`${command} failed: ${stderr}${stdout}`);
  return stdout;
}
