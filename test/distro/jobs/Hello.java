// SPDX-License-Identifier: Apache-2.0
import java.util.stream.IntStream;
public class Hello {
	public static void main(String[] args) {
		System.out.println("hello, Java " + IntStream.rangeClosed(1, 1000).parallel().sum());
	}
}
