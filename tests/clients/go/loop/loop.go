// Package loop is what the agents in Go share: commands from stdin, answers to stdout;
// agents/README.md beside this project has the commands.
package loop

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"time"
)

const callTimeout = 60 * time.Second

// Command runs one command with the JSON that it came in.
type Command func(ctx context.Context, raw json.RawMessage) (any, error)

// Args decodes the arguments of a command into their struct before the command runs.
func Args[T any](run func(context.Context, T) (any, error)) Command {
	return func(ctx context.Context, raw json.RawMessage) (any, error) {
		var parsed T
		if err := json.Unmarshal(raw, &parsed); err != nil {
			return nil, err
		}
		return run(ctx, parsed)
	}
}

// Named has the argument of most commands.
type Named struct {
	Handle string `json:"handle"`
}

// Item is a record as commands carry it; []byte is base64 in JSON.
type Item struct {
	Partition *int32  `json:"partition"`
	Offset    int64   `json:"offset"`
	Timestamp *int64  `json:"timestamp"`
	Key       []byte  `json:"key"`
	Value     []byte  `json:"value"`
	Headers   [][]any `json:"headers"`
}

// Decode is the bytes of base64 in JSON, where null is nil.
func Decode(data any) ([]byte, error) {
	if data == nil {
		return nil, nil
	}
	return base64.StdEncoding.DecodeString(data.(string))
}

// Serve answers commands until stdin ends. codeOf tells Kafka's code of an error, if it has one.
func Serve(commands map[string]Command, codeOf func(error) (int16, bool)) {
	lines := bufio.NewReaderSize(os.Stdin, 1<<20)
	answers := json.NewEncoder(os.Stdout)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		if err := answers.Encode(answer(commands, codeOf, line)); err != nil {
			return
		}
	}
}

func answer(commands map[string]Command, codeOf func(error) (int16, bool), line []byte) any {
	var head struct {
		Op string `json:"op"`
	}
	err := json.Unmarshal(line, &head)
	run := commands[head.Op]
	if err == nil && run == nil {
		err = fmt.Errorf("no command %s", head.Op)
	}
	var result any
	if err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
		defer cancel()
		result, err = run(ctx, line)
	}
	if err == nil {
		return map[string]any{"result": result}
	}
	fmt.Fprintln(os.Stderr, head.Op, err)
	described := map[string]any{"code": nil, "text": err.Error()}
	if code, known := codeOf(err); known {
		described["code"] = code
	}
	return map[string]any{"error": described}
}
