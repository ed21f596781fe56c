// `grpc serve HOST PORT` is the server of the interop cases of gRPC, `grpc call http://HOST:PORT CASE` runs one case: both as grpc-go has
// them, and some with compression. `grpc cases` prints the names of all cases, one per line. The server ends gracefully at SIGTERM, with GOAWAY; SIGUSR2 turns what its
// health service says.
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	grpchealth "google.golang.org/grpc/health"
	healthgrpc "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/interop"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/orca"
)

const soakIterations = 20
const largest = 64 << 20

var insecurely = grpc.WithTransportCredentials(insecure.NewCredentials())

type channel = *grpc.ClientConn
type client = testgrpc.TestServiceClient

// One of the functions of grpc-go, each of which ends the process where its case fails.
func simple(do func(context.Context, client, ...grpc.CallOption)) func(context.Context, channel) {
	return func(ctx context.Context, conn channel) { do(ctx, testgrpc.NewTestServiceClient(conn)) }
}

// The same with messages that are compressed; servers of grpc-go then compress their own, too.
func zipped(do func(context.Context, client, ...grpc.CallOption)) func(context.Context, channel) {
	return simple(func(ctx context.Context, client client, _ ...grpc.CallOption) {
		do(ctx, client, grpc.UseCompressor(gzip.Name))
	})
}

func soak(ctx context.Context, target string, open func() (channel, func())) {
	interop.DoSoakTest(ctx, interop.SoakTestConfig{
		RequestSize: 271828, ResponseSize: 314159, PerIterationMaxAcceptableLatency: 10 * time.Second,
		OverallTimeout: 40 * time.Second, ServerAddr: target, NumWorkers: 1, Iterations: soakIterations, ChannelForTest: open,
	})
}

var cases = map[string]func(context.Context, channel){
	"empty_unary":                 simple(interop.DoEmptyUnaryCall),
	"large_unary":                 simple(interop.DoLargeUnaryCall),
	"client_streaming":            simple(interop.DoClientStreaming),
	"server_streaming":            simple(interop.DoServerStreaming),
	"ping_pong":                   simple(interop.DoPingPong),
	"empty_stream":                simple(interop.DoEmptyStream),
	"custom_metadata":             simple(interop.DoCustomMetadata),
	"status_code_and_message":     simple(interop.DoStatusCodeAndMessage),
	"special_status_message":      simple(interop.DoSpecialStatusMessage),
	"cancel_after_begin":          simple(interop.DoCancelAfterBegin),
	"cancel_after_first_response": simple(interop.DoCancelAfterFirstResponse),
	"timeout_on_sleeping_server":  simple(interop.DoTimeoutOnSleepingServer),
	"unimplemented_method":        interop.DoUnimplementedMethod,
	"gzip_unary":                  zipped(interop.DoLargeUnaryCall),
	"gzip_ping_pong":              zipped(interop.DoPingPong),
	"orca_per_rpc": func(ctx context.Context, conn channel) {
		interop.DoORCAPerRPCTest(ctx, testgrpc.NewTestServiceClient(conn))
	},
	"unimplemented_service": func(ctx context.Context, conn channel) {
		interop.DoUnimplementedService(ctx, testgrpc.NewUnimplementedServiceClient(conn))
	},
	"rpc_soak": func(ctx context.Context, conn channel) {
		soak(ctx, conn.Target(), func() (channel, func()) { return conn, func() {} })
	},
	"channel_soak": func(ctx context.Context, conn channel) {
		target := conn.Target()
		soak(ctx, target, func() (channel, func()) {
			own := dial(target)
			return own, func() { own.Close() }
		})
	},
}

func main() {
	switch os.Args[1] {
	case "serve":
		serve(net.JoinHostPort(os.Args[2], os.Args[3]))
	case "call":
		conn := dial("passthrough:///" + strings.TrimPrefix(os.Args[2], "http://"))
		cases[os.Args[3]](context.Background(), conn)
		conn.Close()
	case "cases":
		var names []string
		for name := range cases {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			fmt.Println(name)
		}
	}
}

func dial(target string) channel {
	// What a case of ORCA asks for; as pick_first for all others.
	config := `{"loadBalancingConfig": [{"test_backend_metrics_load_balancer": {}}]}`
	conn, err := grpc.NewClient(target, insecurely, grpc.WithDefaultServiceConfig(config))
	if err != nil {
		log.Fatal(err)
	}
	return conn
}

// A health service; SIGUSR2 takes the service of the cases out of it, and back.
func health() healthgrpc.HealthServer {
	name := testgrpc.TestService_ServiceDesc.ServiceName
	server := grpchealth.NewServer()
	server.SetServingStatus(name, healthgrpc.HealthCheckResponse_SERVING)
	turned := make(chan os.Signal, 1)
	signal.Notify(turned, syscall.SIGUSR2)
	go func() {
		for serving := false; ; serving = !serving {
			<-turned
			status := healthgrpc.HealthCheckResponse_NOT_SERVING
			if serving {
				status = healthgrpc.HealthCheckResponse_SERVING
			}
			server.SetServingStatus(name, status)
		}
	}()
	return server
}

func serve(address string) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		log.Fatal(err)
	}
	recorder := orca.NewServerMetricsRecorder()
	server := grpc.NewServer(orca.CallMetricsServerOption(nil), grpc.MaxRecvMsgSize(largest))
	if err := orca.Register(server, orca.ServiceOptions{ServerMetricsProvider: recorder}); err != nil {
		log.Fatal(err)
	}
	service := interop.NewTestServer(interop.NewTestServerOptions{MetricsRecorder: recorder})
	testgrpc.RegisterTestServiceServer(server, service)
	healthgrpc.RegisterHealthServer(server, health())
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	go func() {
		<-terminated
		server.GracefulStop()
	}()
	if err := server.Serve(listener); err != nil {
		log.Fatal(err)
	}
}
