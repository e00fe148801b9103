/**
 * Checks of the way to the registry: proxy, name, connection, certificate.
 *
 * Rules of this file: pure decisions over facts. One fault of a connection is one cause, whichever check meets it.
 */

import { quote } from '../../report/shell.ts';
import type { About } from '../about.ts';
import { type Decision, type Fault, type Fix, ok, run, skipped, write } from '../finding.ts';
import {
  type ConnectFacts,
  isNoTls,
  type LookupFacts,
  type NetworkFault,
  type RouteFacts,
  type TlsFacts,
} from '../gather/network.ts';

/** `proxy.route` */
export function decideRoute(route: RouteFacts): Decision {
  switch (route.kind) {
    case 'direct':
      return ok(`direct: ${route.why}`);
    case 'pinned':
      return ok(`direct: --resolve names ${route.address}`);
    case 'proxy':
      return ok(`through ${route.proxy} (${route.variable})`);
    case 'unusable':
      return {
        status: 'problem',
        summary: route.message,
        cause: 'proxy-unusable',
        fix: run(
          `unset ${route.variable}`,
          `write the URL of a proxy into ${route.variable}, or take it away`,
        ),
      };
  }
}

/** `dns.resolve` */
export function decideLookup(
  { host, addresses, fault }: LookupFacts,
  route: RouteFacts,
  about: About,
): Decision {
  if (fault !== null) {
    return {
      status: 'problem',
      summary: `${host} has no address (${fault.code})`,
      evidence: [fault.message],
      cause: 'dns-failed',
      fix: run(
        `getent hosts ${quote(host)}`,
        route.kind === 'proxy'
          ? `check the name of the proxy in ${route.variable}, and the resolver`
          : `check how ${about.name} is spelled, and the resolver (/etc/resolv.conf, VPN)`,
      ),
    };
  }
  if (addresses === null)
    return skipped(route.kind === 'pinned' ? 'nobody is asked' : `${host} is an address`);
  return ok(addresses.slice(0, 4).join(', ') + (addresses.length > 4 ? ', …' : ''));
}

/** `tcp.connect` */
export function decideConnection({ ms, fault }: ConnectFacts, route: RouteFacts, about: About): Decision {
  if (fault === null) {
    if (route.kind !== 'proxy') return ok(`${ms} ms`);
    const way = about.registry.protocol === 'https:' ? 'a tunnel through' : 'as far as';
    return ok(`${way} ${route.proxy}, ${ms} ms`);
  }
  if (route.kind === 'proxy') {
    return {
      status: 'problem',
      summary: `the proxy ${route.proxy} does not let it through`,
      evidence: [told(fault)],
      cause: 'proxy-in-the-way',
      fix: pastProxy(about.registry, route.variable),
    };
  }
  return (
    connectionFault(fault, about.registry, about) ?? {
      status: 'problem',
      summary: told(fault),
      cause: 'connection-broken',
      fix: run(
        `curl -v ${quote(`${about.registry.origin}/v2/`)}`,
        'look at what is between here and the registry',
      ),
    }
  );
}

/** How a host is reached without the proxy that a variable names. */
export function pastProxy({ hostname }: URL, variable: string): Fix {
  const name = variable === variable.toLowerCase() ? 'no_proxy' : 'NO_PROXY';
  return {
    text: `${variable} names a proxy that is in the way: reach ${hostname} without it, by this command and for good in ~/.profile, or have the proxy's operator let it through`,
    command: `export ${name}="$${name}",${quote(hostname)}`,
    line: null,
  };
}

const DAY_MS = 86_400_000;

/** A certificate that ends sooner is worth a word: renewals that work happen earlier (30 days, as ACME clients do it). */
const SOON_MS = 14 * DAY_MS;

/** `tls.chain` */
export function decideTls(facts: TlsFacts, about: About, now: number): Decision {
  const { fault, certificate, authority } = facts;
  const shown = certificateLines(facts, now);
  if (fault !== null) {
    const decision = connectionFault(fault, about.registry, about, facts, now);
    if (about.insecure && certificate !== null) {
      return {
        status: 'warning',
        summary: `not verified, as --insecure says: ${fault.message}`,
        evidence: shown,
        cause: 'certificate-unchecked',
        fix: run(about.commands.doctor.replace(' --insecure', ''), 'look at it without --insecure'),
      };
    }
    return (
      decision ?? {
        status: 'problem',
        summary: told(fault),
        evidence: shown,
        cause: 'certificate-refused',
        fix: run(openssl(about.registry), 'look at what the server presents'),
      }
    );
  }
  if (certificate === null) return ok('no certificate');
  const left = certificate.to - now;
  const days = Math.floor(left / DAY_MS);
  const whose = authority === null ? '' : ` (ca: ${authority})`;
  const summary = `${certificate.subject}, issued by ${certificate.issuer}, ${days} days left${whose}`;
  if (left > SOON_MS) return ok(summary, ...shown);
  return {
    status: 'warning',
    summary,
    evidence: shown,
    cause: 'certificate-ends-soon',
    fix: renewal(about.registry, about, `the certificate of ${about.name} ends in ${days} days`),
  };
}

/**
 * What a fault of a connection means; `null` for one that means nothing in particular.
 *
 * @param end where the connection was to lead
 * @param tls what is known of its certificate
 */
export function connectionFault(
  fault: NetworkFault,
  end: URL,
  about: About,
  tls: TlsFacts | null = null,
  now = 0,
): Fault | null {
  const { phase, code, message } = fault;
  const evidence = [`${end.host}: ${told(fault)}`, ...(tls === null ? [] : certificateLines(tls, now))];
  const problem = (decision: Told): Fault => ({
    status: 'problem',
    evidence,
    ...decision,
  });
  const certificate = tls?.certificate ?? null;
  switch (code) {
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
    case 'EAI_FAIL':
    case 'EAI_NODATA':
      return problem({
        summary: `${end.hostname} has no address (${code})`,
        cause: 'dns-failed',
        fix: run(`getent hosts ${quote(end.hostname)}`, 'check how the name is spelled, and the resolver'),
      });
    case 'ECONNREFUSED':
      return problem({
        summary: `nothing listens at ${end.host}`,
        cause: 'connection-refused',
        fix: run(`curl -v ${quote(`${end.origin}/v2/`)}`, 'check the port, and that the registry is running'),
      });
    case 'ETIMEDOUT':
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return problem({
        summary: `${end.host} ${lateness(phase)}`,
        cause: 'connection-timeout',
        fix: run(
          `curl -v --connect-timeout 10 ${quote(`${end.origin}/v2/`)}`,
          'check host and port, firewall, VPN and proxy',
        ),
      });
    case 'CERT_HAS_EXPIRED':
      return problem({
        summary:
          certificate === null
            ? 'the certificate has ended'
            : `ended ${dayOf(certificate.to)}: ${certificate.subject}`,
        cause: 'certificate-expired',
        fix: renewal(
          end,
          about,
          `the certificate of ${end.host} has ended, or the clock here is wrong (date)`,
        ),
      });
    case 'CERT_NOT_YET_VALID':
      return problem({
        summary:
          certificate === null
            ? 'the certificate is not valid yet'
            : `valid from ${dayOf(certificate.from)}: ${certificate.subject}`,
        cause: 'certificate-not-yet-valid',
        fix: run(
          'date -u; timedatectl',
          'the clock here is behind, or that of whoever issued the certificate was ahead',
        ),
      });
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return problem({
        summary: `the certificate is not for ${end.hostname}, but for ${namesOf(tls)}`,
        cause: 'certificate-wrong-host',
        fix: otherName(tls, end, about),
      });
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'UNABLE_TO_GET_ISSUER_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
      return problem({
        summary:
          certificate === null
            ? 'issued by an unknown authority'
            : `issued by an authority that is not trusted here: ${certificate.top}`,
        cause: 'unknown-authority',
        fix: authorityHere(end, about, tls),
      });
    case 'ERR_REG_CERTS':
      return problem({
        summary: message,
        cause: 'certs-unusable',
        fix: run(`ls -l ${quote(tls?.folder ?? '/etc/docker/certs.d')}`, 'mend the file that it names'),
      });
    default: {
      const met = isNoTls(fault) ? noTls(end, about, tls) : alertOf(fault, end, about, tls);
      return met === null ? null : problem(met);
    }
  }
}

type Told = Omit<Fault, 'status' | 'evidence'>;

/** Alerts are known by their words: what code they have differs from one release of Node to the next. */
function alertOf(fault: NetworkFault, end: URL, about: About, tls: TlsFacts | null): Told | null {
  const text = `${fault.code} ${fault.message}`.toLowerCase().replaceAll('_', ' ');
  if (text.includes('alert protocol version') || text.includes('unsupported protocol')) {
    return {
      summary: `${end.host} speaks no version of TLS that is safe: 1.2 is the least`,
      cause: 'tls-version-too-old',
      fix: write(
        `ssl_protocols TLSv1.2 TLSv1.3;   # nginx; minimumtls: tls1.2 under http.tls in config.yml of docker-registry`,
        `have the operator of ${end.host} turn on TLS 1.2 or 1.3`,
      ),
    };
  }
  const saysSo = text.includes('alert certificate required') || text.includes('alert bad certificate');
  // TLS 1.2 has no alert for a certificate that is missing (RFC 5246 §7.4.6): a server that has come so far with a client says
  // by this one that it wanted another. Before that it is said of ciphers and the like that the two do not share.
  const meansSo = tls?.hadKeys === true && text.includes('alert handshake failure');
  if (!saysSo && !meansSo) return null;
  return {
    summary: `${end.host} wants a client certificate`,
    cause: 'client-certificate-wanted',
    fix: clientCertificate(end, about, tls),
  };
}

/** Something else than TLS was answered. */
function noTls({ host, origin }: URL, { commands }: About, tls: TlsFacts | null): Told {
  if (tls?.speaksHttp === false) {
    return {
      summary: `${host} speaks neither http nor TLS`,
      cause: 'not-a-registry',
      fix: run(`curl -v ${quote(`${origin}/v2/`)}`, 'something else listens there: check host and port'),
    };
  }
  return {
    summary: `${host} speaks plain http, not TLS`,
    cause: 'registry-speaks-http',
    fix: {
      text: `have the registry speak https; else say that it does not: here by --plain-http, to Docker by this line in /etc/docker/daemon.json, to Podman and Skopeo by insecure = true for it in registries.conf`,
      command: commands.plainHttp,
      line: `"insecure-registries": ["${host}"]`,
    },
  };
}

function lateness(phase: NetworkFault['phase']): string {
  switch (phase) {
    case 'head':
      return 'does not answer';
    case 'body':
      return 'does not come to an end with its answer';
    default:
      return 'cannot be reached';
  }
}

/** A fault in words and its code, which is part of some messages. */
export function told({ code, message }: Pick<NetworkFault, 'code' | 'message'>): string {
  return message.includes(code) ? message : `${message} (${code})`;
}

function authorityHere(end: URL, about: About, tls: TlsFacts | null): Fix {
  const whose =
    tls?.route.kind === 'proxy'
      ? `${tls.route.proxy} (${tls.route.variable}), a proxy that may sign in place of ${end.host}, or from that of ${end.host}`
      : isRegistry(end, about)
        ? 'the registry'
        : end.host;
  if (tls?.caFile != null) {
    return run(
      about.commands.otherAuthority,
      `get the certificate of that authority from the operator of ${whose}, and give it in place of ${tls.caFile}: where --ca-file is given, nothing else is trusted. If this machine trusts it already, leave --ca-file out`,
    );
  }
  const folder = tls?.folder ?? `/etc/docker/certs.d/${end.host}`;
  const own = quote(folder);
  return {
    text: `get the certificate of that authority from the operator of ${whose}, and put it where tools look for it: for reg by this command, for Docker and Podman too as /etc/docker/certs.d/${end.host}/ca.crt; or give it by --ca-file`,
    command: `mkdir -p ${own} && cp FILE ${quote(`${folder}/ca.crt`)}`,
    line: null,
  };
}

/** Whether `end` is the registry: of a token server the user knows what the registry says, and no more. */
function isRegistry({ host }: URL, { registry }: About): boolean {
  return host === registry.host;
}

/** A client certificate of the command line is shown to the registry alone. */
function clientCertificate(end: URL, about: About, tls: TlsFacts | null): Fix {
  if (isRegistry(end, about)) {
    return run(
      `${about.commands.doctor} --cert FILE --key FILE`,
      'give yours, here or as client.cert and client.key in the certs.d folder of the registry',
    );
  }
  const folder = tls?.folder ?? `/etc/docker/certs.d/${end.host}`;
  return write(
    `client.cert, client.key   # files in ${folder}`,
    `give yours for ${end.host} in its own folder`,
  );
}

function renewal(end: URL, about: About, why: string): Fix {
  const isOwn = isRegistry(end, about);
  return write(
    isOwn
      ? 'http.tls.certificate: FILE   # config.yml of the registry; ssl_certificate of nginx'
      : `ssl_certificate FILE;   # nginx of ${end.host}; what another server names its certificate by`,
    `${why}: have the operator of ${isOwn ? about.name : end.host} renew it, name the new one, and start the server again`,
  );
}

function otherName(tls: TlsFacts | null, end: URL, about: About): Fix {
  const names = tls?.certificate?.names ?? [];
  const usable = names.find((name) => !name.includes('*') && URL.canParse(`https://${name}/`));
  const line = `subjectAltName = DNS:${end.hostname}`;
  if (!isRegistry(end, about)) {
    const text = `have the operator of ${end.host} get a certificate that is for ${end.hostname} as well`;
    const renamed = `; if ${usable} is its address, have the registry name it so (auth.token.realm)`;
    return write(line, usable === undefined ? text : text + renamed);
  }
  const text = `have the registry's operator get a certificate that is for ${end.hostname} as well`;
  if (usable === undefined) return write(line, text);
  return {
    text: `name the registry as its certificate does, ${usable}, if that is its address; else ${text}`,
    command: about.commands.renamed(usable),
    line,
  };
}

function namesOf(tls: TlsFacts | null): string {
  const names = tls?.certificate?.names ?? [];
  if (names.length === 0) return 'no name at all';
  return names.slice(0, 4).join(', ') + (names.length > 4 ? ', …' : '');
}

function certificateLines({ certificate, authority, route }: TlsFacts, now: number): readonly string[] {
  if (certificate === null) return [];
  const { subject, issuer, names, from, to, top } = certificate;
  const days = Math.floor(Math.abs(to - now) / DAY_MS);
  return [
    `subject: ${subject}`,
    `issuer: ${issuer}${top === issuer ? '' : `; the chain ends at ${top}`}`,
    `names: ${names.slice(0, 20).join(', ') || 'none'}`,
    `valid from ${dayOf(from)} to ${dayOf(to)}, ${days} days ${to < now ? 'ago' : 'left'}`,
    ...(authority === null ? [] : [`authority from ${authority}`]),
    ...(route.kind === 'proxy' ? [`through the proxy ${route.proxy} (${route.variable})`] : []),
  ];
}

function dayOf(at: number): string {
  return Number.isFinite(at) ? `${new Date(at).toISOString().slice(0, 10)}` : 'an unknown day';
}

function openssl({ hostname, port }: URL): string {
  return `openssl s_client -connect ${quote(`${hostname}:${port || '443'}`)} -servername ${quote(hostname)} < /dev/null`;
}
