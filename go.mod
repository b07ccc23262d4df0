module b8s

go 1.26.0

require (
	filippo.io/age v1.3.2 // seals secrets to the hosts that need them
	github.com/andybalholm/brotli v1.2.8 // br responses at the edge
	github.com/go-acme/lego/v4 v4.35.2 // ACME; pinned, as the list of versions cannot be read
	github.com/goccy/go-yaml v1.19.2 // b8s.yaml, with line and column in its errors
	github.com/klauspost/compress v1.20.3 // zstd responses at the edge
	github.com/maxmind/mmdbwriter v1.2.0 // small city databases for the demo, tests and benchmarks
	github.com/miekg/dns v1.1.73 // record types, rare record forms, questions from outside
	github.com/nats-io/nats-server/v2 v2.15.2 // the bus, inside the dom
	github.com/nats-io/nats.go v1.55.0 // its client
	github.com/oschwald/maxminddb-golang/v2 v2.9.0 // decodes city databases
	github.com/prometheus/client_golang v1.25.0 // counters and histograms of the edge
	github.com/quic-go/quic-go v0.65.0 // HTTP/3
	github.com/rogpeppe/go-internal v1.16.0 // testscript: tests that read like sessions
	github.com/spf13/cobra v1.10.2 // the command tree
	go.uber.org/goleak v1.3.0 // tests that no goroutine is left
	golang.org/x/crypto v0.58.0 // the canary of the encrypted store
	golang.org/x/net v0.62.0 // HTTP/2
	golang.org/x/sync v0.24.0 // errgroup: every goroutine has an owner
	golang.org/x/sys v0.49.0 // flock, mmap, recvmmsg, free disk space
	golang.org/x/term v0.47.0 // is it a terminal?
	golang.zx2c4.com/wireguard v0.0.0-20260522210424-ecfc5a8d5446 // the tunnel, in user space
	gvisor.dev/gvisor v0.0.0-20250503011706-39ed1f5ac29c // the tunnel's TCP/IP; the version that wireguard pins
)

require (
	filippo.io/hpke v0.4.0 // indirect
	github.com/antithesishq/antithesis-sdk-go v0.8.0-default-no-op // indirect
	github.com/beorn7/perks v1.0.1 // indirect
	github.com/cenkalti/backoff/v5 v5.0.3 // indirect
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/go-jose/go-jose/v4 v4.1.4 // indirect
	github.com/google/btree v1.1.2 // indirect
	github.com/google/go-tpm v0.9.8 // indirect
	github.com/inconshreveable/mousetrap v1.1.0 // indirect
	github.com/minio/highwayhash v1.0.4 // indirect
	github.com/munnerz/goautoneg v0.0.0-20191010083416-a7dc8b61c822 // indirect
	github.com/nats-io/jwt/v2 v2.8.2 // indirect
	github.com/nats-io/nkeys v0.4.16 // indirect
	github.com/nats-io/nuid v1.0.1 // indirect
	github.com/prometheus/client_model v0.6.3 // indirect
	github.com/prometheus/common v0.72.0 // indirect
	github.com/prometheus/procfs v0.22.0 // indirect
	github.com/quic-go/qpack v0.6.0 // indirect
	github.com/spf13/pflag v1.0.9 // indirect
	go4.org/netipx v0.0.0-20231129151722-fdeea329fbba // indirect
	golang.org/x/text v0.43.0 // indirect
	golang.org/x/time v0.16.0 // indirect
	golang.org/x/tools v0.52.0 // indirect
	golang.zx2c4.com/wintun v0.0.0-20230126152724-0fa3db229ce2 // indirect
	google.golang.org/protobuf v1.36.12 // indirect
)
