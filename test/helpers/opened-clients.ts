import type { KafkaClient, OpenKafka } from '../../shared/kafka/kafkajs-client.ts';

/** A client that remembers what it opened, so that a test can cut connections under its user. */
export function rememberOpened(client: KafkaClient): { client: KafkaClient; opened: OpenKafka[] } {
  const opened: OpenKafka[] = [];
  const open = () => {
    const kafka = client.open();
    opened.push(kafka);
    return kafka;
  };
  return { client: { ...client, open }, opened };
}
