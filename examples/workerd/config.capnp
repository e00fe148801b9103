using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "main", worker = .worker),
    # A registry may be anywhere; without this line only public addresses are reached.
    (name = "internet", network = (allow = ["public", "private", "local"], tlsOptions = (trustBrowserCas = true))),
  ],
  sockets = [(name = "http", address = "127.0.0.1:8080", http = (), service = "main")],
);

const worker :Workerd.Worker = (
  modules = [(name = "worker.js", esModule = embed "dist/worker.js")],
  compatibilityDate = "2026-11-01",
  bindings = [
    (name = "REGISTRY", fromEnvironment = "REGISTRY"),
    (name = "REGISTRY_USER", fromEnvironment = "REGISTRY_USER"),
    (name = "REGISTRY_PASSWORD", fromEnvironment = "REGISTRY_PASSWORD"),
  ],
);
