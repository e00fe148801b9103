#!/usr/bin/env node
/** The entry of `docker-credential-reg`, under which Docker, Podman and their like find `reg credential`. */

void import('./command.ts').then(({ runCredentialHelper }) => runCredentialHelper());
