/** `reg help environment` */

import { rows } from './page.ts';

const room = 'NODE_EXTRA_CA_CERTS'.length;

export const environmentPage = `\
What reg reads from the environment

Credentials
${rows(
  [
    ['REG_PASSWORD', 'the password of -u; without -u it is not used'],
    ['REGISTRY_AUTH_FILE', 'a file of credentials as Podman writes it: that one and no other is looked into'],
    ['DOCKER_AUTH_CONFIG', 'credentials as in config.json, as text; looked into before any file'],
    ['DOCKER_CONFIG', "the folder of Docker's config.json, in place of ~/.docker"],
    ['PATH', 'where credential helpers are'],
  ],
  room,
)}

Folders
${rows(
  [
    ['XDG_CONFIG_HOME', 'in place of ~/.config: containers/auth.json, docker/certs.d, reg/trust.json'],
    ['XDG_RUNTIME_DIR', "holds containers/auth.json, Podman's credentials of this session"],
    ['XDG_CACHE_HOME', 'in place of ~/.cache: reg, which holds the tokens that are kept'],
    ['HOME', 'where all of these are without the variables above'],
    ['USERPROFILE', 'on Windows: in place of HOME'],
    ['LOCALAPPDATA', 'on Windows: reg\\cache, in place of the folder in XDG_CACHE_HOME'],
    ['ProgramData', 'on Windows: docker\\certs.d'],
  ],
  room,
)}

Connection
${rows(
  [
    ['HTTPS_PROXY', 'the proxy for https; in lower case too, which counts first'],
    ['HTTP_PROXY', 'the proxy for http; likewise'],
    ['NO_PROXY', 'hosts, domains and networks that are reached without one; likewise'],
    ['REQUEST_METHOD', 'if set, this is a CGI script: HTTP_PROXY is the word of a stranger, and not used'],
    ['NODE_EXTRA_CA_CERTS', 'a PEM file of authorities to trust beside the built-in ones'],
  ],
  room,
)}

Terminal
${rows(
  [
    ['NO_COLOR', 'if not empty: no colours, unless --color says otherwise'],
    ['TERM', 'dumb: neither colours nor progress'],
  ],
  room,
)}

Example:
  REG_PASSWORD=$(pass show ghcr.io) reg tags ghcr.io/o/app -u alice
`;
