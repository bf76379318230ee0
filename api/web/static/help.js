import { showAccount } from "./account.js";
import { load } from "./load.js";

load(showAccount);
