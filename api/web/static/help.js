import { showAccount } from "./account.js";

showAccount();
