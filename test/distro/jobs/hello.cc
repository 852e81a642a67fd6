/* SPDX-License-Identifier: Apache-2.0 */
#include <iostream>
#include <map>
#include <stdexcept>
int main()
{
	std::map<std::string, int> m{{"hello, ", 1}, {"C++", 2}};
	try {
		throw std::runtime_error(m.begin()->first == "C++" ? "hello, C++" : "wrong");
	} catch (const std::exception &e) {
		std::cout << e.what() << std::endl;
	}
}
