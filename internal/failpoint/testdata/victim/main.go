// Command victim passes the same places again and again and says how far it came.
package main

import (
	"fmt"
	"sync"

	"commerce.internal/orderctl/internal/failpoint"
)

func main() {
	for i := range 3 {
		failpoint.Hit("before-the-deed")
		fmt.Println("deed", i)
	}
	var others sync.WaitGroup
	others.Go(func() { failpoint.Hit("on-the-way") })
	others.Go(func() { fmt.Println("others go on") })
	failpoint.Reached("the-very-end")
	others.Wait()
	fmt.Println("bug:", failpoint.Bug("wrong-deed"))
}
