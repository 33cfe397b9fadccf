/** `https://sqs.eu-central-1.amazonaws.com/123456789012/user-logins` → `user-logins`. */
export function queueNameOf(queueUrl: string): string {
  return queueUrl.slice(queueUrl.lastIndexOf('/') + 1);
}
