// Command protogen writes internal/order/orderpb/order.pb.go from order.proto. It needs no protoc: protocompile reads
// the file, the generator of google.golang.org/protobuf writes the code. With -check it writes nothing and fails when
// the committed code differs. It runs inside tools/.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/protoutil"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

const (
	folder = "../internal/order/orderpb"
	source = "order.proto"
	target = "order.pb.go"
)

func main() {
	check := flag.Bool("check", false, "compare with the committed code and write nothing")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, *check)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "protogen:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, check bool) error {
	code, err := generate(ctx)
	if err != nil {
		return err
	}
	path := filepath.Join(folder, target)
	if !check {
		return os.WriteFile(path, code, 0o644) //nolint:gosec // source code, readable by all
	}
	committed, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if !bytes.Equal(code, committed) {
		return fmt.Errorf("%s does not follow from %s: run `cd tools && go run ./protogen`", path, source)
	}
	return nil
}

func generate(ctx context.Context) ([]byte, error) {
	compiler := protocompile.Compiler{
		Resolver:       &protocompile.SourceResolver{ImportPaths: []string{folder}},
		SourceInfoMode: protocompile.SourceInfoStandard, // comments reach the code
	}
	files, err := compiler.Compile(ctx, source)
	if err != nil {
		return nil, fmt.Errorf("compile %s: %w", source, err)
	}
	request, err := proto.Marshal(&pluginpb.CodeGeneratorRequest{
		FileToGenerate: []string{source},
		Parameter:      proto.String("paths=source_relative"),
		ProtoFile:      []*descriptorpb.FileDescriptorProto{protoutil.ProtoFromFileDescriptor(files[0])},
	})
	if err != nil {
		return nil, fmt.Errorf("marshal request: %w", err)
	}
	cmd := exec.CommandContext(ctx, "go", "tool", "protoc-gen-go")
	cmd.Stdin, cmd.Stderr = bytes.NewReader(request), os.Stderr
	raw, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("run protoc-gen-go: %w", err)
	}
	var response pluginpb.CodeGeneratorResponse
	if err := proto.Unmarshal(raw, &response); err != nil {
		return nil, fmt.Errorf("read response: %w", err)
	}
	if response.Error != nil {
		return nil, errors.New(response.GetError())
	}
	return []byte(response.GetFile()[0].GetContent()), nil
}
