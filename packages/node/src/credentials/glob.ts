/**
 * Patterns for hosts, as Kubernetes has them in pull secrets: `*.dkr.ecr.*.amazonaws.com`.
 *
 * Rules of this file: `*` is any part of one label and never crosses a dot, `?` one character; as many labels as the host has;
 * ports are compared as they stand. No regular expression is made of a pattern: its own way back is at most one star deep.
 */

/** Whether `pattern` means `host`, both `name` or `name:port` in lower case. */
export function matchesHost(pattern: string, host: string): boolean {
  const [patternName, patternPort] = splitPort(pattern);
  const [name, port] = splitPort(host);
  if (patternPort !== port) return false;
  const patterns = patternName.split('.');
  const labels = name.split('.');
  return (
    patterns.length === labels.length && patterns.every((each, i) => matchesLabel(each, labels[i] ?? ''))
  );
}

export function isPattern(host: string): boolean {
  return host.includes('*') || host.includes('?');
}

/** The colons of an IPv6 address stand in brackets. */
function splitPort(host: string): readonly [name: string, port: string] {
  const colon = host.lastIndexOf(':');
  return colon > host.lastIndexOf(']') ? [host.slice(0, colon), host.slice(colon + 1)] : [host, ''];
}

function matchesLabel(pattern: string, label: string): boolean {
  let p = 0;
  let at = 0;
  /** The newest star, and where what it takes ends. */
  let star = -1;
  let end = 0;
  while (at < label.length) {
    const wanted = pattern[p];
    if (wanted === '*') {
      star = p++;
      end = at;
    } else if (wanted === '?' || wanted === label[at]) {
      p++;
      at++;
    } else if (star >= 0) {
      p = star + 1;
      at = ++end;
    } else {
      return false;
    }
  }
  while (pattern[p] === '*') p++;
  return p === pattern.length;
}
